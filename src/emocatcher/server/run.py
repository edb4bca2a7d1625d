"""Start the server, and stop it so that what was begun is finished."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.server import app
from emocatcher.server.connection import Connection
from emocatcher.server.service import Options, Service

_WATCH_S = 0.1
# Longer than clients keep an idle connection: a request that crosses with its end would be lost.
_KEEP_ALIVE_S = 75
_MESSAGE_BYTES = 1 << 22  # of a WebSocket message; more closes it with 1009


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: what was asked for.
        say: called with the server's address, once it listens.

    Raises:
        SettingError: if the address cannot be had.
        ModelError: if the model cannot be used.
        CorpusError: if the corpus to guess at holds nothing.
    """
    if sys.platform == "win32":  # the worker processes fork, and talk through Unix's sockets
        raise SettingError("emocatcher serve needs Linux or macOS. On Windows, run it in WSL")
    listener = _listen(options.host, options.port)
    _on_signals(_leave)
    service = Service(options)
    try:
        server = _Server(_config(service, options), service, lambda: say(_address(options.host, listener)))
        # uvicorn raises the signal again that stopped it, and by default that would end this process before its end.
        _on_signals(lambda *_: None)
        server.run(sockets=[listener])
    finally:
        service.spool.remove()
    if server.failure is not None:
        raise server.failure


def _on_signals(answer: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, answer)


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _config(service: Service, options: Options) -> uvicorn.Config:
    Connection.header_s = options.limits.header_s
    return uvicorn.Config(
        app.create(service),
        http=Connection,
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # sound does not shrink
        # A client that is held back cannot answer in time: its answer waits behind its sound. `stream_idle_s` sees to
        # those that are gone.
        ws_ping_interval=None,
        log_config=None,
        access_log=False,  # an address may hold a file's name
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=options.limits.stop_s,
    )


class _Server(uvicorn.Server):
    """Ends the streams before the connections, and gives up on a model that cannot be loaded."""

    def __init__(self, config: uvicorn.Config, service: Service, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._on_start = service, on_start
        self.failure: ModelError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
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
        await asyncio.sleep(0)  # their farewells go out
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        # Python adds the address to what the system says, and this message has it already.
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number is not None and number > 0 else error
        raise SettingError(
            f"The address {host}, port {port} cannot be had: {reason}. Give another --port, 0 for any that is free"
        ) from None


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"


def reachable_without_token(options: Options) -> bool:
    """Whether anybody on the network may ask."""
    from emocatcher.server.security import is_loopback

    return not is_loopback(options.host) and not options.tokens
