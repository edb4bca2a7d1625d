"""Recognise live sound on the WebSocket `/v1/stream`. One process handles all streams, and decodes no files."""

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

BAD, TOO_BIG, TOO_MANY, GOING_AWAY, FAULT = 1008, 1009, 1013, 1001, 1011
_MESSAGE_LIMIT_S = 20.0  # to process a message, which contains at most `stream_chunk_s` of sound
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


class ErrorMessage(msgspec.Struct, tag_field="type", tag="error"):
    """The reason why the server closes the stream."""

    title: str
    detail: str
    error: str


class StreamError(Exception):
    """A stream that must be closed.

    Args:
        code: the WebSocket's close code.
        error: the kind of error, for programs.
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
    GOING_AWAY: "The stream was closed",
    FAULT: "The stream was lost",
}


class Streams:
    """The open streams, and the worker process that handles them.

    Args:
        folder: the model folder; None for the default model of the package.
        limits: the server's limits.
        spool: the folder of the uploads.
    """

    def __init__(self, folder: str | None, limits: Limits, spool: str) -> None:
        self._limits = limits
        self._pool = Pool(folder, limits, 1, spool)
        self._open: set[WebSocket] = set()
        self._numbers = itertools.count()
        self._stopping = False

    @property
    def n_open(self) -> int:
        """The number of open streams."""
        return len(self._open)

    @property
    def is_ready(self) -> bool:
        """Whether the process is ready."""
        return self._pool.is_ready

    def start(self) -> None:
        """Launch the process, without waiting for it."""
        self._pool.start()

    async def stop(self) -> None:
        """End the process."""
        await self._pool.stop()

    async def close_all(self) -> None:
        """Report to every client that the server is stopping, and close the streams."""
        self._stopping = True
        error = StreamError(GOING_AWAY, "ServerStopping", "The server is being stopped. Connect again later")
        await asyncio.gather(*(_refuse(socket, error) for socket in tuple(self._open)))

    async def serve(self, socket: WebSocket, accepts: Accepts, labels: Labels, count: Count) -> None:
        """Handle one stream, from its first message to its close.

        Args:
            socket: the accepted WebSocket.
            accepts: called with a token; returns whether it is accepted.
            labels: returns the model's labels, in order.
            count: called with the number of windows that were sent.
        """
        if self._stopping or len(self._open) >= self._limits.streams:
            detail = f"{len(self._open)} streams are open, which is the limit. Connect again in a moment"
            await _refuse(socket, StreamError(TOO_MANY, "Busy", detail))
            return
        self._open.add(socket)
        try:
            await self._process_messages(socket, accepts, labels, count)
        except StreamError as error:
            await _refuse(socket, error)
        except RefusedError as error:
            code = _CODES.get(error.error, BAD)
            await _refuse(socket, StreamError(code, error.error, error.detail[:1].upper() + error.detail[1:]))
        except WebSocketDisconnect:
            pass
        finally:
            self._open.discard(socket)

    async def _process_messages(self, socket: WebSocket, accepts: Accepts, labels: Labels, count: Count) -> None:
        hello = await self._receive_hello(socket, accepts)
        process = await self._pool.least_busy()
        stream = next(self._numbers)
        start = tasks.OpenStream(stream, hello.sample_rate, hello.window_s, hello.hop_s, hello.abstain_below)
        await process.submit(start, _MESSAGE_LIMIT_S)
        try:
            await _send(socket, Ready(await labels(), hello.window_s, hello.hop_s))
            while True:
                # The next message is received after this one is processed, so TCP slows down a client that is too fast.
                message = await self._receive(socket)
                if isinstance(message, str):
                    _decode(_finish, message, '{"type":"finish"}, or sound in binary messages')
                    task: tasks.Task = tasks.FinishStream(stream)
                else:
                    task = tasks.PushStream(stream, hello.encoding, message)
                result = tasks.windows_decoder.decode(await process.submit(task, _MESSAGE_LIMIT_S))
                for window in result.windows:
                    await socket.send_text(window.decode())
                count(len(result.windows))
                if isinstance(message, str):
                    await _send(socket, Finished(result.duration_s))
                    await socket.close()
                    return
        finally:
            with contextlib.suppress(RefusedError):
                dropped = process.submit(tasks.DropStream(stream), _MESSAGE_LIMIT_S)
                dropped.add_done_callback(lambda answer: answer.exception())

    async def _receive_hello(self, socket: WebSocket, accepts: Accepts) -> Hello:
        message = await self._receive(socket)
        if not isinstance(message, str):
            detail = 'The first message is sound. Send {"type":"hello", "sample_rate":…} first'
            raise StreamError(BAD, "BadMessage", detail)
        hello: Hello = _decode(_hello, message, '{"type":"hello", "sample_rate":48000, "encoding":"pcm16"}')
        if not accepts(hello.token):
            raise StreamError(BAD, "Unauthorized", "This server needs a token. Put 'token' into the hello message")
        if not (math.isfinite(hello.window_s) and math.isfinite(hello.hop_s)):
            detail = f"The window is {hello.window_s} s, the hop {hello.hop_s} s. Give finite numbers of seconds"
            raise StreamError(BAD, "SettingError", detail)
        return hello

    async def _receive(self, socket: WebSocket) -> str | bytes:
        try:
            async with asyncio.timeout(self._limits.stream_idle_s):
                message = await socket.receive()
        except TimeoutError:
            detail = f"No message arrived for {self._limits.stream_idle_s:g} s. Send sound, or finish"
            raise StreamError(GOING_AWAY, "Idle", detail) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""


def _decode(decoder: Any, message: str, expected: str) -> Any:
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise StreamError(BAD, "BadMessage", f"The message is not valid: {error}. Send {expected}") from None


async def _send(socket: WebSocket, message: Ready | Finished | ErrorMessage) -> None:
    await socket.send_text(msgspec.json.encode(message).decode())


async def _refuse(socket: WebSocket, error: StreamError) -> None:
    # The client may have disconnected, or another message may be being sent.
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
        if socket.application_state is WebSocketState.CONNECTED:
            await _send(socket, ErrorMessage(_TITLES[error.code], error.detail, error.error))
            await socket.close(error.code)
