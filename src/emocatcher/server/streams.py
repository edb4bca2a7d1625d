"""`/v1/stream`: live sound in, windows out. All streams are heard by one process, which decodes no files."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.worker_pool import Pool
from emocatcher.server.worker_process import RefusedError

Accepts: TypeAlias = Callable[[str | None], bool]
Labels: TypeAlias = Callable[[], Awaitable[list[str]]]
Count: TypeAlias = Callable[[int], None]

BAD, TOO_BIG, TOO_MANY, GOING, FAULT = 1008, 1009, 1013, 1001, 1011
_HEAR_S = 20.0  # for a message; it holds at most `stream_chunk_s` of sound
_CODES = {"TooLongError": TOO_BIG, "WorkerDied": FAULT, "Busy": TOO_MANY}


class Hello(msgspec.Struct, tag_field="type", tag="hello", forbid_unknown_fields=True):
    """A stream's first message."""

    sample_rate: Annotated[int, msgspec.Meta(ge=1000, le=768_000)]  # Hz
    encoding: tasks.Encoding = "pcm16"
    window_s: float = 3.0
    hop_s: float = 0.5
    abstain_below: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # None: the model's own
    token: str | None = None


class Finish(msgspec.Struct, tag_field="type", tag="finish"):
    """A stream's last message."""


class Ready(msgspec.Struct, tag_field="type", tag="ready"):
    """The answer to `Hello`."""

    labels: list[str]
    window_s: float
    hop_s: float


class Finished(msgspec.Struct, tag_field="type", tag="done"):
    """The answer to `Finish`, after the last windows."""

    duration_s: float


class Wrong(msgspec.Struct, tag_field="type", tag="error"):
    """Why the server closes."""

    title: str
    detail: str
    error: str


class StreamError(Exception):
    """A stream that cannot go on.

    Args:
        code: of the WebSocket's close.
        error: a word of its kind, for programs.
        detail: what was wrong and what to do next.
    """

    def __init__(self, code: int, error: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.error, self.detail = code, error, detail


_hello = msgspec.json.Decoder(Hello)
_finish = msgspec.json.Decoder(Finish)
_TITLES: dict[int, str] = {
    BAD: "The message is not allowed",
    TOO_BIG: "The message is too big",
    TOO_MANY: "Too many streams",
    GOING: "The stream is over",
    FAULT: "The stream was lost",
}


class Streams:
    """The open streams, and the process that hears them.

    Args:
        folder: the model's; None for the one that comes with the package.
        limits: of the server.
        spool: the folder of the uploads.
    """

    def __init__(self, folder: str | None, limits: Limits, spool: str) -> None:
        self._limits = limits
        self._host = Pool(folder, limits, 1, spool)
        self._open: set[WebSocket] = set()
        self._numbers = itertools.count()
        self._stopping = False

    @property
    def n_open(self) -> int:
        """How many there are."""
        return len(self._open)

    @property
    def is_ready(self) -> bool:
        """Whether the process is there."""
        return self._host.is_ready

    def start(self) -> None:
        """Begin to start the process."""
        self._host.start()

    async def stop(self) -> None:
        """End the process."""
        await self._host.stop()

    async def close_all(self) -> None:
        """Tell every client that the server is going, and close."""
        self._stopping = True
        farewell = StreamError(GOING, "ServerStopping", "The server is being stopped. Connect again later")
        await asyncio.gather(*(_refuse(socket, farewell) for socket in tuple(self._open)))

    async def serve(self, socket: WebSocket, accepts: Accepts, labels: Labels, count: Count) -> None:
        """One stream, from its first message to its close.

        Args:
            socket: accepted.
            accepts: token → whether it opens.
            labels: gives the model's labels, in order.
            count: called with the number of windows that were sent.
        """
        if self._stopping or len(self._open) >= self._limits.streams:
            detail = f"{len(self._open)} streams are open, which is all there may be. Connect again in a moment"
            await _refuse(socket, StreamError(TOO_MANY, "Busy", detail))
            return
        self._open.add(socket)
        try:
            await self._hear(socket, accepts, labels, count)
        except StreamError as error:
            await _refuse(socket, error)
        except RefusedError as error:
            code = _CODES.get(error.error, BAD)
            await _refuse(socket, StreamError(code, error.error, error.detail[:1].upper() + error.detail[1:]))
        except WebSocketDisconnect:
            pass
        finally:
            self._open.discard(socket)

    async def _hear(self, socket: WebSocket, accepts: Accepts, labels: Labels, count: Count) -> None:
        hello = await self._greet(socket, accepts)
        process = await self._host.ready()
        stream = next(self._numbers)
        asked = tasks.OpenStream(stream, hello.sample_rate, hello.window_s, hello.hop_s, hello.abstain_below)
        await process.ask(asked, _HEAR_S)
        try:
            await _send(socket, Ready(await labels(), hello.window_s, hello.hop_s))
            while True:
                # The next message is taken when this one is heard: a client that is too fast is held back by TCP.
                message = await self._receive(socket)
                if isinstance(message, str):
                    _decoded(_finish, message, '{"type":"finish"}, or sound in binary messages')
                    task: tasks.Task = tasks.FinishStream(stream)
                else:
                    task = tasks.PushStream(stream, hello.encoding, message)
                heard = tasks.windows_decoder.decode(await process.ask(task, _HEAR_S))
                for window in heard.windows:
                    await socket.send_text(window.decode())
                count(len(heard.windows))
                if isinstance(message, str):
                    await _send(socket, Finished(heard.duration_s))
                    await socket.close()
                    return
        finally:
            with contextlib.suppress(RefusedError):
                process.ask(tasks.DropStream(stream), _HEAR_S).add_done_callback(lambda answer: answer.exception())

    async def _greet(self, socket: WebSocket, accepts: Accepts) -> Hello:
        message = await self._receive(socket)
        if not isinstance(message, str):
            raise StreamError(BAD, "BadMessage", 'Sound came before {"type":"hello", "sample_rate":…}')
        hello: Hello = _decoded(_hello, message, '{"type":"hello", "sample_rate":48000, "encoding":"pcm16"}')
        if not accepts(hello.token):
            raise StreamError(BAD, "Unauthorized", "This server needs a token. Put 'token' into the hello")
        if not (math.isfinite(hello.window_s) and math.isfinite(hello.hop_s)):
            raise StreamError(BAD, "SettingError", "The window and the hop must be finite numbers of seconds")
        return hello

    async def _receive(self, socket: WebSocket) -> str | bytes:
        try:
            async with asyncio.timeout(self._limits.stream_idle_s):
                message = await socket.receive()
        except TimeoutError:
            detail = f"Nothing came for {self._limits.stream_idle_s:g} s. Send sound, or finish"
            raise StreamError(GOING, "Idle", detail) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""


def _decoded(decoder: Any, message: str, wanted: str) -> Any:
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise StreamError(BAD, "BadMessage", f"The message makes no sense: {error}. Send {wanted}") from None


async def _send(socket: WebSocket, message: Ready | Finished | Wrong) -> None:
    await socket.send_text(msgspec.json.encode(message).decode())


async def _refuse(socket: WebSocket, error: StreamError) -> None:
    # The client may be gone, or another answer on its way.
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
        if socket.application_state is WebSocketState.CONNECTED:
            await _send(socket, Wrong(_TITLES[error.code], error.detail, error.error))
            await socket.close(error.code)
