"""Define the entry point of a worker process, with few imports, so that the server process stays small."""

from __future__ import annotations

import socket

from emocatcher.server.limits import Limits


def worker(connection: socket.socket, folder: str | None, limits: Limits, spool: str) -> None:
    """Process tasks until the server closes the connection (see `emocatcher.server.worker.run`)."""
    from emocatcher.server.worker import run

    run(connection, folder, limits, spool)
