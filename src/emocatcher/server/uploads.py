"""Save a request's recordings to temporary files, within limits of size and time, and delete them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from starlette.requests import ClientDisconnect, Request

from emocatcher.server import bodies
from emocatcher.server.limits import Limits
from emocatcher.server.problems import ProblemError
from emocatcher.server.shares import Shares, client_of
from emocatcher.server.temporary_folder import TemporaryFolder
from emocatcher.server.worker_pool import BusyError

_MAX_PIECES = 1024  # in one call of writev, which is Linux's limit
_THREAD_BYTES = 1 << 20  # more bytes than this are written in a thread
_STORE_RETRY_S = 10
_REPORT_S = 60.0  # between two lines of the log on the same fault
_log = logging.getLogger(__name__)


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
        folder: the server's temporary folder.
    """

    def __init__(self, limits: Limits, folder: TemporaryFolder) -> None:
        self._folder = Path(folder.path, "uploads")
        self._limits = limits
        self._numbers = itertools.count()
        self._requests = Shares(limits.uploads, limits.uploads_per_client)
        self._bytes = Shares(limits.spool_bytes, limits.spool_bytes_per_client)
        self._decoding = asyncio.Lock()
        self._reported = -math.inf

    @property
    def n_requests(self) -> int:
        """The number of requests that are being received or recognised."""
        return self._requests.n_taken

    @property
    def n_bytes(self) -> int:
        """The number of bytes in the folder, or about to be written there."""
        return self._bytes.n_taken

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self) -> tuple[Path, BinaryIO]:
        """Create a file; a counter suffices for its name, because no other user can write there.

        Raises:
            OSError: if that is not possible.
        """
        path = self._folder / str(next(self._numbers))
        try:
            return path, path.open("x+b", buffering=0)
        except FileNotFoundError:  # the first one, or a program that tidies up has removed the folder
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=0o700, exist_ok=True)
            return path, path.open("x+b", buffering=0)

    def reserve(self, client: str, n_bytes: int) -> None:
        """Count bytes that will be written.

        Raises:
            BusyError: if there is no space for them.
        """
        if not self._bytes.take(client, n_bytes):
            raise BusyError("the current uploads, of all or of this client, fill the available space. Try again in 1 s")

    def give_back(self, client: str, n_bytes: int) -> None:
        """Uncount bytes that were deleted."""
        self._bytes.give_back(client, n_bytes)

    @contextlib.contextmanager
    def storing(self) -> Iterator[None]:
        """Turn the system's errors inside the `with` block into an answer: above all a full disk.

        Raises:
            ProblemError: 503.
        """
        try:
            yield
        except OSError as error:
            now = time.monotonic()
            if now > self._reported + _REPORT_S:  # because each request may report the same
                self._reported = now
                _log.error("Uploads cannot be stored: %s", error)
            detail = f"The server cannot store uploads now: {error.strerror}. Try again in {_STORE_RETRY_S} s"
            raise ProblemError(503, detail, "StorageFull", {"Retry-After": str(_STORE_RETRY_S)}) from error

    @contextlib.asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Uploads]:
        """Receive a request's recordings; the files exist inside the context.

        Raises:
            ProblemError: if the body is not allowed, too large or too slow, or cannot be stored.
            BusyError: if too many uploads are being received.
        """
        limits, client = self._limits, client_of(request.scope)
        if not self._requests.take(client):
            raise BusyError(f"{self.n_requests} uploads, of all or of this client, are processed. Try again in 1 s")
        files = _RequestFiles(self, client)
        try:
            declared = request.headers.get("content-length", "")
            if declared.isdecimal() and int(declared) > limits.upload_bytes:
                raise too_large(limits.upload_bytes)
            reader = bodies.choose_reader(request, limits, files)

            async def feed(chunk: bytes) -> None:
                reader.feed(chunk)
                if files.n_unwritten > _THREAD_BYTES:
                    await files.write()

            await self._receive(request, min(limits.upload_bytes, reader.max_bytes), feed)
            # JSON is decoded in memory, so one at a time.
            async with self._decoding if isinstance(reader, bodies.JsonBody) else contextlib.nullcontext():
                names = reader.finish()
                if not names:
                    detail = "The request has no recording. Send one as the body, or as the field 'file' of a form"
                    raise ProblemError(422, detail, "EmptyAudioError")
                await files.close()
            yield Uploads(tuple(map(Upload, files.paths, names)), reader.several)
        finally:
            self._requests.give_back(client)
            files.remove()

    async def read(self, request: Request, max_bytes: int) -> bytes:
        """Receive a small body in memory.

        Raises:
            ProblemError: if it is too large or too slow.
        """
        body = bytearray()

        async def feed(chunk: bytes) -> None:
            body.extend(chunk)

        await self._receive(request, max_bytes, feed)
        return bytes(body)

    async def _receive(self, request: Request, max_bytes: int, feed: Callable[[bytes], Awaitable[None]]) -> None:
        limits, n_bytes = self._limits, 0
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(limits.upload_idle_s) as clock:
                async for chunk in request.stream():
                    n_bytes += len(chunk)
                    if n_bytes > max_bytes:
                        raise too_large(max_bytes)
                    await feed(chunk)
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

    def __init__(self, spool: Spool, client: str) -> None:
        self._spool, self._client = spool, client
        self._file: BinaryIO | None = None
        self._pieces: list[memoryview] = []
        self._n_bytes = 0
        self.n_unwritten = 0
        self.paths: list[Path] = []

    def begin(self) -> None:
        """Begin the next file."""
        self._end()
        with self._spool.storing():
            path, self._file = self._spool.create()
        self.paths.append(path)

    def add(self, piece: memoryview) -> None:
        """Append to the current file."""
        self._spool.reserve(self._client, len(piece))
        self._n_bytes += len(piece)
        self._pieces.append(piece)
        self.n_unwritten += len(piece)

    def take_back(self) -> bytes:
        """Delete the current file, and return its content."""
        assert self._file is not None  # noqa: S101 (opened with the first piece)
        self._write()
        with self._spool.storing(), self._file as file:
            file.seek(0)
            content = file.read()
        self._file = None
        self.remove()
        self.paths.clear()
        return content

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
        self._spool.give_back(self._client, self._n_bytes)
        self._n_bytes = 0

    def _end(self) -> None:
        if self._file is not None:
            self._write()
            self._file.close()
            self._file = None

    def _write(self) -> None:
        assert self._file is not None  # noqa: S101 (opened with the first piece)
        pieces, self._pieces = self._pieces, []
        self.n_unwritten = 0
        with self._spool.storing():
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
