"""Limit uvicorn's connections in number, size and time, and answer what is not HTTP with problem details in JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from emocatcher.server import problems
from emocatcher.server.access_log import Entry

_LINGER_S = 5.0  # to receive the rest of a refused body, so that the client can read the answer
_HEAD_BYTES = 1 << 16  # of a request's line and headers
_FIELD_BYTES = 32  # of memory for each header, counted with its bytes as HTTP/2 does (RFC 9113, 6.5.2)
_PIPELINED = 16  # requests that wait for the answers of earlier ones on their connection


class Refusal(NamedTuple):
    """The answer to a request that does not reach the application."""

    status: int
    detail: str
    error: str


_TOO_LARGE = Refusal(
    431, f"The request's head is larger than {_HEAD_BYTES} bytes. Send fewer or shorter headers", "HeadTooLarge"
)
_TOO_MANY = Refusal(503, "All connections of this server are in use. Try again in 1 s", "Busy")
_PIPELINE = Refusal(
    400, f"More than {_PIPELINED} requests wait for their answers. Read the answers first", "BadRequest"
)


class Connections:
    """The open connections, at most a fixed number; a new one takes the place of the one that has been idle longest.

    Otherwise clients that connect and send nothing would use up the process's open files, and lock out all others.

    Args:
        most: the largest number of connections.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[asyncio.BaseTransport] = set()
        self._idle: dict[asyncio.Transport, None] = {}  # the longest idle first

    def admit(self, transport: asyncio.Transport) -> bool:
        """Add a connection; return whether there is room for it."""
        if len(self._open) >= self._most:
            oldest = next(iter(self._idle), None)
            if oldest is None:
                return False
            self.remove(oldest)
            oldest.abort()
        self._open.add(transport)
        self.note_idle(transport)
        return True

    def note_idle(self, transport: asyncio.Transport) -> None:
        """Note that a connection has no request."""
        self._idle.pop(transport, None)
        if transport in self._open:
            self._idle[transport] = None

    def note_busy(self, transport: asyncio.Transport) -> None:
        """Note that a connection has a request, and must not be closed for another."""
        self._idle.pop(transport, None)

    def remove(self, transport: asyncio.Transport) -> None:
        """Remove a connection; it need not be known."""
        self._open.discard(transport)
        self._idle.pop(transport, None)


class Limited(asyncio.Protocol):
    """Closes a connection whose client does not read its answers."""

    register = Connections(1000)  # this and the next three are set when the server starts
    header_s = 10.0
    unread_s = 30.0
    log: Callable[[Entry], None] = staticmethod(lambda _: None)
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _unread: asyncio.TimerHandle | None = None
    _n_unread = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limit."""
        self.register.remove(self.transport)
        self._stop_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the time limit when the client reads more slowly than the server writes."""
        self._stop_unread()
        self._watch_unread()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Cancel the time limit, because the client has read everything."""
        self._stop_unread()
        super().resume_writing()

    def _watch_unread(self) -> None:
        self._n_unread = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.unread_s, self._check_unread)

    def _check_unread(self) -> None:
        if self.transport.get_write_buffer_size() < self._n_unread:
            self._watch_unread()
        else:
            self.transport.abort()

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class Connection(Limited, HttpToolsProtocol):
    """One HTTP connection.

    A request's head must arrive within `header_s` of its first byte, and of the connection's start. The rest of a body
    that is answered early is discarded for a limited time.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        self._n_head = 0  # bytes of the current head, or of the headers after a chunked body
        self._n_unparsed = (
            0  # bytes since the parser's last result: of an unfinished header, or of an ignored extension
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit with the connection, or refuse it."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` at the first byte that the client does not take
        self._set_deadline(self.header_s)
        if not self.register.admit(transport):
            self._refuse(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limit."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, unless too many of them belong to no complete part of a request."""
        self._n_unparsed += len(data)
        super().data_received(data)
        if self._n_unparsed > _HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start the time limit at a request's first byte."""
        self._n_head = self._n_unparsed = 0
        super().on_message_begin()
        if self._deadline is None:
            self._set_deadline(self.header_s)

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the request's line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of a header."""
        self._count(len(name) + len(value) + _FIELD_BYTES)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Cancel the time limit, because the head has arrived."""
        self._set_deadline(None)
        self.register.note_busy(self.transport)
        self._n_unparsed = 0
        super().on_headers_complete()
        if len(self.pipeline) > _PIPELINED:
            self._stop_parsing(_PIPELINE)

    def on_body(self, body: bytes) -> None:
        """Note that the parser proceeds."""
        self._n_unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Cancel the time limit of an early answer, because the body has arrived."""
        self._n_unparsed = 0
        if self.cycle is not None and self.cycle.response_complete:
            self._set_deadline(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Limit the time for the rest of the body if the answer was sent before it arrived."""
        is_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if is_last:
            self.register.note_idle(self.transport)
        if self.cycle.more_body:
            self._set_deadline(_LINGER_S)

    def send_400_response(self, msg: str) -> None:
        """Answer a message that is not HTTP, or that was refused while it was parsed, with problem details too."""
        self._refuse(self._refusal or Refusal(400, f"{msg} Send HTTP/1.1", "BadRequest"))

    def _count(self, n_bytes: int) -> None:
        self._n_head += n_bytes
        self._n_unparsed = 0
        if self._n_head > _HEAD_BYTES:
            self._stop_parsing(_TOO_LARGE)

    def _stop_parsing(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise ValueError(refusal.detail)  # the parser gives up, and `send_400_response` is called

    def _refuse(self, refusal: Refusal) -> None:
        # Inside another answer, the client would take it for a part of that one.
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(encode(refusal))
        self.transport.close()
        self.log(Entry((self.client or ("",))[0], "other", "other", refusal.status, 0.0))

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.close)


def encode(refusal: Refusal) -> bytes:
    """Encode a refusal as an HTTP response that ends its connection."""
    content = problems.body(*refusal)
    head = [
        STATUS_LINE[refusal.status],
        f"content-type: {problems.MEDIA_TYPE}\r\n".encode(),
        f"content-length: {len(content)}\r\n".encode(),
        b"retry-after: 1\r\n" if refusal.status == _TOO_MANY.status else b"",
        b"connection: close\r\n\r\n",
    ]
    return b"".join([*head, content])
