"""Run the server until a signal, and finish the current requests before it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.server import app
from emocatcher.server.connection import Connection, Connections
from emocatcher.server.limits import BACKLOG, most_connections
from emocatcher.server.service import Options, Service
from emocatcher.server.temporary_folder import TemporaryFolder, remove_all
from emocatcher.server.watchdog import Watchdog
from emocatcher.server.websocket_connection import WebSocketConnection

_WATCH_S = 0.1
# Longer than clients keep an idle connection; otherwise a request sent while the server closes it would be lost.
_KEEP_ALIVE_S = 75
_MESSAGE_BYTES = 1 << 21  # of a WebSocket message; a larger one closes the socket with 1009


def serve(options: Options, folder: TemporaryFolder, on_start: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: the server's options.
        folder: for temporary files.
        on_start: called with the server's address when it listens.

    Raises:
        SettingError: if the address cannot be used.
        ModelError: if the model cannot be used.
        CorpusError: if the corpus for guessing contains no clip.
    """
    if sys.platform == "win32":  # the worker processes fork, and communicate through Unix sockets
        raise SettingError("emocatcher serve needs Linux or macOS. On Windows, run it in WSL")
    listener = _listen(options.host, options.port)
    _on_signals(_exit)
    service = Service(options, folder)
    server = _Server(_config(service, options), service, lambda: on_start(_address(options.host, listener)))
    # uvicorn raises the signal that stopped it again, which by default would end this process too early.
    _on_signals(lambda *_: None)
    server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure


def _on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _config(service: Service, options: Options) -> uvicorn.Config:
    connections = Connections(most_connections(options.limits, options.n_workers + 1))  # one more for streams
    for kind in (Connection, WebSocketConnection):
        kind.register, kind.header_s, kind.unread_s = connections, options.limits.header_s, options.limits.unread_s
        kind.log = staticmethod(service.log)
    return uvicorn.Config(
        app.create(service),
        http=Connection,
        ws=WebSocketConnection,
        backlog=BACKLOG,
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # PCM does not compress well
        # With backpressure a client's pong waits behind its sound and would be late. `stream_idle_s` closes the streams
        # of clients that are gone.
        ws_ping_interval=None,
        log_config=None,
        access_log=False,  # a URL may contain a file's name
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=options.limits.stop_s,
    )


class _Server(uvicorn.Server):
    """Closes the streams before the connections, and stops if the model cannot be loaded or no worker is left."""

    def __init__(self, config: uvicorn.Config, service: Service, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_start = service, on_start
        self.failure: ModelError | None = None
        clean_up = partial(remove_all, service.folder.path)
        self._watchdog = Watchdog(lambda: service.is_able, service.limits.recover_s, clean_up)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._watchdog.start(asyncio.get_running_loop())
        if self.started:
            self._on_start()

    async def on_tick(self, counter: int) -> bool:
        pool = self._service.pool
        if pool.failure is not None and not pool.description and pool.failure.error == ModelError.__name__:
            self.failure = ModelError(pool.failure.detail)
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._service.streams.close_all()
        await asyncio.sleep(0)  # lets the closing messages be sent
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        # Python's message contains the address again, so only the system's reason is used.
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number is not None and number > 0 else error
        raise SettingError(
            f"The address {host}, port {port} cannot be used: {reason}. Give another --port, or 0 for any free port"
        ) from None


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"


def reachable_without_token(options: Options) -> bool:
    """Whether anyone on the network can use the server."""
    from emocatcher.server.security import is_loopback

    return not is_loopback(options.host) and not options.tokens
