"""Extend uvicorn's connections by time limits against slow clients, and by errors as problem details in JSON."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from emocatcher.server import problems

_LINGER_S = 5.0  # to receive the rest of a refused body, so that the client can read the answer


class Connection(HttpToolsProtocol):
    """One HTTP connection.

    A request's head must arrive within `header_s` of its first byte, and of the connection's start. The rest of a body
    that is answered early is discarded for a limited time.
    """

    header_s = 10.0  # set when the server starts

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit with the connection."""
        super().connection_made(transport)
        self._set_deadline(self.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limit."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start the time limit at a request's first byte."""
        super().on_message_begin()
        if self._deadline is None:
            self._set_deadline(self.header_s)

    def on_headers_complete(self) -> None:
        """Cancel the time limit, because the head has arrived."""
        self._set_deadline(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Cancel the time limit of an early answer, because the body has arrived."""
        if self.cycle is not None and self.cycle.response_complete:
            self._set_deadline(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Limit the time for the rest of the body if the answer was sent before it arrived."""
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._set_deadline(_LINGER_S)

    def send_400_response(self, msg: str) -> None:
        """Answer a message that is not HTTP with problem details too."""
        content = problems.body(400, f"{msg} Send HTTP/1.1", "BadRequest")
        head = [
            STATUS_LINE[400],
            f"content-type: {problems.MEDIA_TYPE}\r\n".encode(),
            f"content-length: {len(content)}\r\n".encode(),
            b"connection: close\r\n\r\n",
        ]
        self.transport.write(b"".join([*head, content]))
        self.transport.close()

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.close)
