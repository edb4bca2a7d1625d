"""A request's body → temporary files, within the limits of size and time; they are gone when the request is."""

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

_PIECES = 1024  # in one call, which is Linux's limit
_AT_ONCE = 1 << 20  # bytes; more than this is written beside the event loop


class Upload(NamedTuple):
    """A recording that came with a request."""

    path: Path
    name: str  # the client's


class Uploads(NamedTuple):
    """What a request brought."""

    recordings: tuple[Upload, ...]
    several: bool  # whether it asks for a list of answers


class Spool:
    """The folder of all uploads, and how full it is.

    Args:
        limits: of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self.folder = tempfile.mkdtemp(prefix="emocatcher-")  # no other user may read it
        self._limits = limits
        self._numbers = itertools.count()
        self.n_requests = 0
        self.n_bytes = 0

    def new_path(self) -> Path:
        """A name in the folder, which nobody else may write to: a count is enough."""
        return Path(self.folder, str(next(self._numbers)))

    def remove(self) -> None:
        """Delete the folder."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                Path(entry.path).unlink(missing_ok=True)
            Path(self.folder).rmdir()

    def take(self, n_bytes: int) -> None:
        """Count bytes that are to be written.

        Raises:
            BusyError: if there is no room for them.
        """
        if self.n_bytes + n_bytes > self._limits.spool_bytes:
            raise BusyError("the uploads that are under way fill the space there is. Ask again in 1 s")
        self.n_bytes += n_bytes

    @contextlib.asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Uploads]:
        """Take a request's recordings; inside, they are files.

        Raises:
            ProblemError: if the body is none that is allowed, too large or too slow.
            BusyError: if too much is being received already.
        """
        limits = self._limits
        if self.n_requests >= limits.uploads:
            raise BusyError(f"{self.n_requests} uploads are under way. Ask again in 1 s")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limits.upload_bytes:
            raise too_large(limits.upload_bytes)
        kept = _Kept(self)
        self.n_requests += 1
        try:
            reader = bodies.reader(request, limits, kept)
            await self._fill(request, reader, kept)
            named = reader.finish()
            if not named:
                detail = "No recording came. Send one as the body, or as the field 'file' of a form"
                raise ProblemError(422, detail, "EmptyAudioError")
            await kept.close()
            yield Uploads(tuple(map(Upload, kept.paths, named)), reader.several)
        finally:
            self.n_requests -= 1
            kept.remove()

    async def _fill(self, request: Request, reader: bodies.Reader, kept: _Kept) -> None:
        limits, n_bytes = self._limits, 0
        most = min(limits.upload_bytes, reader.most_bytes)
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(limits.upload_idle_s) as clock:
                async for chunk in request.stream():
                    n_bytes += len(chunk)
                    if n_bytes > most:
                        raise too_large(most)
                    reader.feed(chunk)
                    if kept.n_unwritten > _AT_ONCE:
                        await kept.write()
                    # Whichever is earlier: silence, or too little altogether.
                    slow = began + limits.upload_idle_s + n_bytes / limits.upload_rate
                    clock.reschedule(min(slow, now() + limits.upload_idle_s))
        except TimeoutError:
            detail = f"The body came too slowly: give {limits.upload_rate} bytes per second or more"
            raise ProblemError(408, detail, "UploadTooSlow", {"Connection": "close"}) from None
        except ClientDisconnect:
            raise ProblemError(400, "The client left before its upload was whole", "ClientLeft") from None


class _Kept:
    """The files of one request; small ones are written in one go, large ones piece by piece."""

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
        """Go on with the newest file."""
        self._spool.take(len(piece))
        self._n_bytes += len(piece)
        self._pieces.append(piece)
        self.n_unwritten += len(piece)

    async def write(self) -> None:
        """Write what has come so far, beside the event loop."""
        await asyncio.to_thread(self._write)

    async def close(self) -> None:
        """Write all that is left."""
        if self.n_unwritten > _AT_ONCE:
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
            n_written = os.writev(self._file.fileno(), pieces[:_PIECES])
            while pieces and n_written >= len(pieces[0]):
                n_written -= len(pieces.pop(0))
            if n_written:  # the disk took a part of a piece
                pieces[0] = pieces[0][n_written:]


def too_large(most: int) -> ProblemError:
    """The problem that a body of too many bytes is."""
    detail = f"The body is larger than {most} bytes. Send fewer or shorter recordings, or compressed ones"
    return ProblemError(413, detail, "UploadTooLarge")
