"""Save a request's recordings to temporary files, within limits of size and time, and delete them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from starlette.requests import ClientDisconnect, Request

from emocatcher.server import bodies
from emocatcher.server.limits import Limits
from emocatcher.server.problems import ProblemError
from emocatcher.server.worker_pool import BusyError

_MAX_PIECES = 1024  # in one call of writev, which is Linux's limit
_THREAD_BYTES = 1 << 20  # more bytes than this are written in a thread


class Upload(NamedTuple):
    """A received recording."""

    path: Path
    name: str  # the client's name for it


class Uploads(NamedTuple):
    """The recordings of a request."""

    recordings: tuple[Upload, ...]
    several: bool  # whether the answer must be a list


class Spool:
    """The folder of all uploads, with the number of bytes in it.

    Args:
        limits: the server's limits.
    """

    def __init__(self, limits: Limits) -> None:
        self.folder = tempfile.mkdtemp(prefix="emocatcher-")  # not readable by other users
        self._limits = limits
        self._numbers = itertools.count()
        self.n_requests = 0
        self.n_bytes = 0

    def new_path(self) -> Path:
        """Return a new path in the folder; a counter suffices, because no other user can write there."""
        return Path(self.folder, str(next(self._numbers)))

    def remove(self) -> None:
        """Delete the folder."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                Path(entry.path).unlink(missing_ok=True)
            Path(self.folder).rmdir()

    def reserve(self, n_bytes: int) -> None:
        """Count bytes that will be written.

        Raises:
            BusyError: if there is no space for them.
        """
        if self.n_bytes + n_bytes > self._limits.spool_bytes:
            raise BusyError("the current uploads fill the available space. Try again in 1 s")
        self.n_bytes += n_bytes

    @contextlib.asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Uploads]:
        """Receive a request's recordings; the files exist inside the context.

        Raises:
            ProblemError: if the body is not allowed, too large or too slow.
            BusyError: if too many uploads are being received.
        """
        limits = self._limits
        if self.n_requests >= limits.uploads:
            raise BusyError(f"{self.n_requests} uploads are being processed. Try again in 1 s")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limits.upload_bytes:
            raise too_large(limits.upload_bytes)
        files = _RequestFiles(self)
        self.n_requests += 1
        try:
            reader = bodies.choose_reader(request, limits, files)
            await self._fill(request, reader, files)
            names = reader.finish()
            if not names:
                detail = "The request has no recording. Send one as the body, or as the field 'file' of a form"
                raise ProblemError(422, detail, "EmptyAudioError")
            await files.close()
            yield Uploads(tuple(map(Upload, files.paths, names)), reader.several)
        finally:
            self.n_requests -= 1
            files.remove()

    async def _fill(self, request: Request, reader: bodies.Reader, files: _RequestFiles) -> None:
        limits, n_bytes = self._limits, 0
        max_bytes = min(limits.upload_bytes, reader.max_bytes)
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(limits.upload_idle_s) as clock:
                async for chunk in request.stream():
                    n_bytes += len(chunk)
                    if n_bytes > max_bytes:
                        raise too_large(max_bytes)
                    reader.feed(chunk)
                    if files.n_unwritten > _THREAD_BYTES:
                        await files.write()
                    # The earlier of two deadlines: no byte arrives, or the average rate is too low.
                    slow = began + limits.upload_idle_s + n_bytes / limits.upload_rate
                    clock.reschedule(min(slow, now() + limits.upload_idle_s))
        except TimeoutError:
            detail = f"The body arrived too slowly. Send {limits.upload_rate} bytes per second or more"
            raise ProblemError(408, detail, "UploadTooSlow", {"Connection": "close"}) from None
        except ClientDisconnect:
            detail = "The client disconnected before its upload was complete. Send it again"
            raise ProblemError(400, detail, "ClientLeft") from None


class _RequestFiles:
    """The files of one request; small ones are written at once, large ones piece by piece."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._file: BinaryIO | None = None
        self._pieces: list[memoryview] = []
        self._n_bytes = 0
        self.n_unwritten = 0
        self.paths: list[Path] = []

    def begin(self) -> None:
        """Begin the next file."""
        self._end()
        path = self._spool.new_path()
        self._file = path.open("xb", buffering=0)
        self.paths.append(path)

    def add(self, piece: memoryview) -> None:
        """Append to the current file."""
        self._spool.reserve(len(piece))
        self._n_bytes += len(piece)
        self._pieces.append(piece)
        self.n_unwritten += len(piece)

    async def write(self) -> None:
        """Write the received pieces in a thread."""
        await asyncio.to_thread(self._write)

    async def close(self) -> None:
        """Write the remaining pieces, and close the file."""
        if self.n_unwritten > _THREAD_BYTES:
            await self.write()
        self._end()

    def remove(self) -> None:
        """Delete the files."""
        if self._file is not None:
            self._file.close()
        for path in self.paths:
            path.unlink(missing_ok=True)
        self._spool.n_bytes -= self._n_bytes

    def _end(self) -> None:
        if self._file is not None:
            self._write()
            self._file.close()
            self._file = None

    def _write(self) -> None:
        assert self._file is not None  # noqa: S101 (opened with the first piece)
        pieces, self._pieces = self._pieces, []
        self.n_unwritten = 0
        while pieces:
            n_written = os.writev(self._file.fileno(), pieces[:_MAX_PIECES])
            while pieces and n_written >= len(pieces[0]):
                n_written -= len(pieces.pop(0))
            if n_written:  # a piece was written in part
                pieces[0] = pieces[0][n_written:]


def too_large(limit: int) -> ProblemError:
    """Return the problem for a body with too many bytes."""
    detail = f"The body is larger than {limit} bytes. Send fewer or shorter recordings, or compressed ones"
    return ProblemError(413, detail, "UploadTooLarge")
