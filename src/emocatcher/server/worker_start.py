"""How a worker process begins; imports as little as it can, so that the server itself stays light."""

from __future__ import annotations

import socket

from emocatcher.server.limits import Limits


def worker(connection: socket.socket, folder: str | None, limits: Limits, spool: str) -> None:
    """Answer tasks until the other side closes (see `emocatcher.server.worker.run`)."""
    from emocatcher.server.worker import run

    run(connection, folder, limits, spool)
