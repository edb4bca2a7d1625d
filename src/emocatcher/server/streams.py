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

from emocatcher.foundation.labels import spelling
from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.shares import Shares, Turns, client_of
from emocatcher.server.worker_pool import Pool
from emocatcher.server.worker_process import RefusedError

Accepts: TypeAlias = Callable[[str | None], bool]
Labels: TypeAlias = Callable[[], Awaitable[list[str]]]
Count: TypeAlias = Callable[[int], None]
Adjust: TypeAlias = Callable[[str | None, tuple[str, ...] | None], tasks.Adjustment]

BAD, TOO_BIG, TOO_MANY, GOING_AWAY, FAULT = 1008, 1009, 1013, 1001, 1011
_TASK_LIMIT_S = 20.0  # to process a part of a message
_PART_S = 0.5  # longest part, of sound
_SAMPLE_BYTES: dict[tasks.Encoding, int] = {"pcm16": 2, "float32": 4}
_CODES = {"TooLongError": TOO_BIG, "WorkerDied": FAULT, "Busy": TOO_MANY}


class Hello(msgspec.Struct, tag_field="type", tag="hello", forbid_unknown_fields=True):
    """A stream's first message."""

    sample_rate: Annotated[int, msgspec.Meta(ge=1000, le=768_000)]  # Hz
    encoding: tasks.Encoding = "pcm16"
    window_s: float = 3.0
    hop_s: float = 0.5
    abstain_below: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # None: the model's own
    token: str | None = None
    settled: str | None = None  # the name of a profile; None for the server's own, "" for none
    emotions: tuple[str, ...] | None = None  # that the answers are restricted to; None for all


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
        spool: the folder of temporary files.
    """

    def __init__(self, folder: str | None, limits: Limits, spool: str) -> None:
        self._limits = limits
        self._pool = Pool(folder, limits, 1, spool)
        self._slots = Shares(limits.streams, limits.streams_per_client)
        self._turns = Turns()
        self._sockets: set[WebSocket] = set()
        self._greeting: dict[WebSocket, tuple[str, asyncio.Timeout]] = {}  # sockets without a slot, the oldest first
        self._numbers = itertools.count()
        self._stopping = False

    @property
    def n_open(self) -> int:
        """The number of open streams."""
        return self._slots.n_taken

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
        await asyncio.gather(*(_refuse(socket, _stopping()) for socket in tuple(self._sockets)))

    async def serve(self, socket: WebSocket, accepts: Accepts, labels: Labels, count: Count, adjust: Adjust) -> None:
        """Handle one stream, from its first message to its close.

        Args:
            socket: the accepted WebSocket.
            accepts: called with a token; returns whether it is accepted.
            labels: returns the model's labels, in order.
            count: called with the number of windows that were sent.
            adjust: called with the name of a profile and the emotions; returns what changes the answers.
        """
        self._sockets.add(socket)
        try:
            if self._stopping:
                raise _stopping()
            client = client_of(socket.scope)
            hello = await self._receive_hello(socket, client, accepts)
            if not self._slots.take(client):
                detail = f"{self.n_open} streams are open, which is the limit for all or for one client"
                raise StreamError(TOO_MANY, "Busy", f"{detail}. Connect again in a moment")
            try:
                adjustment = adjust(hello.settled, hello.emotions)
                await self._process_messages(socket, hello, labels, count, adjustment)
            finally:
                self._slots.give_back(client)
        except StreamError as error:
            await _refuse(socket, error)
        except RefusedError as error:
            code = _CODES.get(error.error, BAD)
            await _refuse(socket, StreamError(code, error.error, error.detail[:1].upper() + error.detail[1:]))
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(socket)

    async def _process_messages(
        self, socket: WebSocket, hello: Hello, labels: Labels, count: Count, adjustment: tasks.Adjustment
    ) -> None:
        process = await self._pool.least_busy()
        stream = next(self._numbers)

        async def take_turn(task: tasks.Task) -> bytes:
            async with self._turns.take(stream):
                return await process.submit(task, _TASK_LIMIT_S)

        start = tasks.OpenStream(
            stream, hello.sample_rate, hello.window_s, hello.hop_s, hello.abstain_below, adjustment
        )
        try:
            await take_turn(start)
            all_labels = await labels()
            wanted = all_labels if hello.emotions is None else [spelling(one, all_labels) for one in hello.emotions]
            kept = [label for label in all_labels if label in wanted]
            await _send(socket, Ready(kept, hello.window_s, hello.hop_s))
            is_last = False
            while not is_last:
                # The next message is received after this one is processed, so TCP slows down a client that is too fast.
                message = await self._receive(socket)
                if is_last := isinstance(message, str):
                    _decode(_finish, message, '{"type":"finish"}, or sound in binary messages')
                    parts: list[tasks.Task] = [tasks.FinishStream(stream)]
                else:
                    parts = [tasks.PushStream(stream, hello.encoding, part) for part in self._cut(hello, message)]
                for part in parts:
                    result = tasks.windows_decoder.decode(await take_turn(part))
                    for window in result.windows:
                        await socket.send_text(window.decode())
                    count(len(result.windows))
            await _send(socket, Finished(result.duration_s))
            await socket.close()
        finally:
            self._turns.remove(stream)
            with contextlib.suppress(RefusedError):
                dropped = process.submit(tasks.DropStream(stream), _TASK_LIMIT_S)
                dropped.add_done_callback(lambda answer: answer.exception())

    def _cut(self, hello: Hello, message: bytes) -> list[bytes]:
        """Cut a message into parts that complete about one window each, so that other streams need not wait long."""
        size = _SAMPLE_BYTES[hello.encoding]
        if len(message) % size:
            detail = f"A message has {len(message)} bytes. Send a multiple of {size} for {hello.encoding}"
            raise StreamError(BAD, "SettingError", detail)
        duration_s, longest_s = len(message) / size / hello.sample_rate, self._limits.stream_chunk_s
        if duration_s > longest_s:
            detail = f"The message contains {duration_s:.1f} s of sound. Send at most {longest_s:g} s"
            raise StreamError(TOO_BIG, "TooLongError", detail)
        step = size * max(int(min(hello.hop_s, _PART_S) * hello.sample_rate), 1)
        return [message[start : start + step] for start in range(0, len(message), step)]

    async def _receive_hello(self, socket: WebSocket, client: str, accepts: Accepts) -> Hello:
        self._make_room(client)
        try:
            async with asyncio.timeout(self._limits.header_s) as clock:
                self._greeting[socket] = client, clock
                message = await self._receive(socket)
        except TimeoutError:
            detail = "The first message did not arrive in time. Send it as soon as the connection is open"
            raise StreamError(GOING_AWAY, "Idle", detail) from None
        finally:
            self._greeting.pop(socket, None)
        if not isinstance(message, str):
            detail = 'The first message is sound. Send {"type":"hello", "sample_rate":…} first'
            raise StreamError(BAD, "BadMessage", detail)
        hello: Hello = _decode(_hello, message, '{"type":"hello", "sample_rate":48000, "encoding":"pcm16"}')
        if not accepts(hello.token):
            raise StreamError(BAD, "Unauthorized", "This server needs a token. Put 'token' into the hello message")
        longest_s, shortest_s = self._limits.stream_window_s, self._limits.stream_hop_s
        if not (0 < hello.window_s <= longest_s and shortest_s <= hello.hop_s < math.inf):
            given = f"The window is {hello.window_s:g} s, the hop {hello.hop_s:g} s"
            allowed = f"Give a window of up to {longest_s:g} s, and a hop of {shortest_s:g} s or more"
            raise StreamError(BAD, "SettingError", f"{given}. {allowed}")
        return hello

    def _make_room(self, client: str) -> None:
        """End the oldest silent sockets, of this client or of all, if there are too many."""
        of_client = [socket for socket, (name, _) in self._greeting.items() if name == client]
        for sockets, most in ((of_client, self._limits.streams_per_client), ([*self._greeting], self._limits.streams)):
            if len(sockets) >= most and sockets[0] in self._greeting:
                _, clock = self._greeting.pop(sockets[0])
                if not clock.expired():
                    clock.reschedule(0.0)

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


def _stopping() -> StreamError:
    return StreamError(GOING_AWAY, "ServerStopping", "The server is being stopped. Connect again later")


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
