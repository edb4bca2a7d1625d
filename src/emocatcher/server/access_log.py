"""Write one line of JSON for each request; without any name of a file, because addresses are logged as their route."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from logging.handlers import WatchedFileHandler

import msgspec

from emocatcher.foundation.errors import OutputError


class Entry(msgspec.Struct):
    """One request, or one stream."""

    client: str  # address
    method: str  # of HTTP; WEBSOCKET for a stream
    route: str  # as in the API's document; "other" for anything else
    status: int  # of HTTP, or the WebSocket's close code
    duration_s: float
    received_bytes: int = 0  # of the body, or of the messages
    sent_bytes: int = 0
    time: str = ""  # when it ended, UTC


class AccessLog:
    """The access log.

    Args:
        target: a file, which other programs may rotate; "-" for the standard output.

    Raises:
        OutputError: if the file cannot be written.
    """

    def __init__(self, target: str) -> None:
        if target == "-":
            self._handler: logging.Handler = logging.StreamHandler(sys.stdout)
        else:
            try:
                # Only for this user, because clients' addresses are private.
                os.close(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
                self._handler = WatchedFileHandler(target, encoding="utf-8")
            except OSError as error:
                raise OutputError(f"{target} cannot be written: {error.strerror}. Give another --access-log") from None
        self._handler.handleError = lambda _: None  # type: ignore[method-assign, assignment]  # a full disk stops no request

    def write(self, entry: Entry) -> None:
        """Write a line."""
        now = time.time()
        entry.time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
        entry.duration_s = round(entry.duration_s, 4)
        line = msgspec.json.encode(entry).decode()
        with suppress(OSError):  # the file was moved, and cannot be made again
            self._handler.handle(logging.LogRecord("access", logging.INFO, "", 0, line, None, None))
