"""Limit uvicorn's WebSocket connections in what their clients send without a message, or all at once."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from emocatcher.server.connection import Limited, Refusal, encode

_FRAMES_BYTES = 1 << 13  # of a WebSocket that are parsed at a time
_FRAMES = 1000  # pings, pongs and parts of a message between two messages
_WAITING = 4096  # messages of a WebSocket that wait to be processed
_IGNORED = 20_000  # messages after the close, which a client may have sent before it knew
_NOT_WEBSOCKET = Refusal(400, "The request does not open a WebSocket (RFC 6455). Correct its headers", "BadRequest")


class WebSocketConnection(Limited, WebSocketsSansIOProtocol):
    """One WebSocket connection.

    It ends if its client sends many frames without a message, or many messages at once: parsing them takes so much time
    that other clients would wait.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._n_frames = 0  # since the last message
        self._n_ignored = 0  # messages after the close

    def data_received(self, data: bytes) -> None:
        """Parse received bytes in parts, so that a flood of small frames is noticed before all of them are parsed."""
        for start in range(0, len(data), _FRAMES_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _FRAMES_BYTES])
            if self._n_frames > _FRAMES or self._n_ignored > _IGNORED or self.queue.qsize() > _WAITING:
                self.transport.abort()
        if not self.handshake_initiated:  # the request is complete, but has a header that is not allowed
            self.transport.write(encode(_NOT_WEBSOCKET))
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over; until its first message it may have to make room for another."""
        super().connection_made(transport)
        self.register.note_idle(self.transport)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message of the application; after the last one, the connection may have to make room again."""
        await super().send(message)
        if self.close_sent:
            self.register.note_idle(self.transport)

    def handle_ping(self) -> None:
        """Answer a ping, and count it."""
        self._n_frames += 1
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Count a pong, which nobody asked for."""
        self._n_frames += 1
        super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Add a part of a message, and count it."""
        self._n_frames += 1
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on, or count it if the connection is being closed."""
        self._n_frames = 0
        self._n_ignored += self.close_sent
        if not self.close_sent:
            self.register.note_busy(self.transport)
        super().send_receive_event_to_app()
