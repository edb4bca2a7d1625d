"""A file at a URI: read block by block as it is needed, or fetched into a temporary file without a name."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from emocatcher.foundation.errors import UriError
from emocatcher.foundation.uris import stores
from emocatcher.foundation.uris.attempts import Budget, attempt
from emocatcher.foundation.uris.names import WEB, check, local_path, redacted, scheme_of
from emocatcher.foundation.uris.parts import BLOCK, Part

LARGEST = 4 << 30  # bytes of a temporary file
_KEPT = 4  # blocks in memory


class RemoteFile:
    """A file at a URI, whose first block is read when it is opened. It can be read by several threads.

    A time limit and a few new attempts apply to every block. The temporary file has no name, so that nothing is left
    of it, even after a kill.

    Args:
        uri: of any scheme but `file`.
        largest: bytes of a temporary file, at most.

    Attributes:
        name: the URI without anything secret.
        head: the first bytes, up to a block.
        size: bytes of the file.
        error: of the first read that failed; decoders in C take it for the end of the file.

    Raises:
        UriError: if there is no such file, or it cannot be read.
    """

    def __init__(self, uri: str, *, largest: int = LARGEST) -> None:
        check(uri)
        self.name, self.error = redacted(uri), cast("UriError | None", None)
        self._uri, self._largest, self._lock = uri, largest, threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        first = self._read_part(0, BLOCK)
        self._tag, self._whole = first.tag, first.whole
        if first.whole is None:
            self.head, self.size = first.content, self._size(first)
        else:
            first.whole.seek(0)
            self.head, self.size = first.whole.read(BLOCK), first.size or 0

    def __enter__(self) -> RemoteFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove what is kept of the file."""
        self._blocks.clear()
        if self._whole is not None:
            self._whole.close()

    def open(self, end: int | None = None) -> BinaryIO:
        """Return a reader that begins at the file's beginning, and ends at a position of it."""
        return io.BufferedReader(_Reader(self, self.size if end is None else min(end, self.size)), 1 << 16)

    def fetch(self) -> None:
        """Read the whole file into the temporary file, so that reading it often costs nothing more.

        Raises:
            UriError: if it is larger than allowed, or cannot be read to its end.
        """
        if self._whole is not None or len(self.head) == self.size:
            return
        self.check_size()
        whole = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 (closed by `close`)
        try:
            for position in range(0, self.size, BLOCK):
                whole.write(self.read_at(position, BLOCK))
            whole.flush()
        except BaseException as error:
            whole.close()
            if isinstance(error, OSError):
                raise UriError(self.name, f"the temporary file cannot be written: {error.strerror}") from None
            raise
        self._whole = whole
        self._blocks.clear()

    def check_size(self) -> None:
        """Check that the file may be copied to this computer.

        Raises:
            UriError: if it is larger than allowed.
        """
        if self.size > self._largest:
            sizes = f"{self.size / 2**30:.3g} GiB, and {self._largest / 2**30:.3g} GiB are allowed"
            raise UriError(self.name, f"has {sizes} for a temporary file. Copy it to this computer first")

    def read_at(self, position: int, n: int) -> bytes:
        """Return at most `n` bytes from a position, at least one where there are any.

        Raises:
            UriError: if they cannot be read.
        """
        with self._lock:
            if position >= self.size:
                return b""
            if self._whole is not None:
                self._whole.seek(position)
                return self._whole.read(n)
            number = position // BLOCK
            block = self.head if number == 0 else self._block(number)
            start = position - number * BLOCK
            return block[start : start + n]

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        start = number * BLOCK
        part = self._read_part(start, min(BLOCK, self.size - start))
        if part.tag != self._tag or len(part.content) != min(BLOCK, self.size - start):
            raise UriError(self.name, "changed while it was read. Run it again")
        self._blocks[number] = part.content
        if len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return part.content

    def _read_part(self, start: int, n: int) -> Part:
        budget = Budget()

        def read() -> Part:
            if scheme_of(self._uri) in WEB:
                from emocatcher.foundation.uris import web  # few calls need it, and its imports take long

                return web.read_part(self._uri, start, n, self._largest, budget)
            return stores.read_part(self._uri, start, n)

        return attempt(self.name, read, budget)

    def _size(self, first: Part) -> int:
        if first.size is not None:
            return first.size
        if scheme_of(self._uri) in WEB:
            raise UriError(self.name, "the server does not tell the size. Copy the file to this computer first")
        return stores.size_of(self._uri)


class _Reader(io.RawIOBase):
    """Reads a `RemoteFile` from a position of its own."""

    def __init__(self, file: RemoteFile, end: int) -> None:
        self._file, self._end, self._at = file, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        position = offset + (0, self._at, self._end)[whence]
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._at = position
        return position

    def readinto(self, buffer: Any, /) -> int:
        n = min(len(buffer), self._end - self._at)
        if n <= 0 or self._file.error is not None:
            return 0
        try:
            content = self._file.read_at(self._at, n)
        except UriError as error:
            # An exception cannot pass through the C code of a decoder.
            self._file.error = error
            return 0
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def read_bytes(uri: str, most: int) -> bytes:
    """Return the content of a URI.

    Raises:
        UriError: if it cannot be read, or has more bytes than allowed.
    """
    with tempfile.TemporaryDirectory() as folder:
        download(uri, Path(folder) / "content", most)
        return (Path(folder) / "content").read_bytes()


def download(uri: str, path: Path, largest: int = LARGEST) -> None:
    """Copy the content of a URI, such as a list of recordings, to a new local file.

    Raises:
        UriError: if it cannot be read or copied, or is larger than allowed.
    """
    try:
        if scheme_of(uri) == "file":
            shutil.copyfile(local_path(uri), path)
            return
        with RemoteFile(uri, largest=largest) as file, path.open("wb") as target:
            file.check_size()
            for position in range(0, file.size, BLOCK):
                target.write(file.read_at(position, BLOCK))
    except FileNotFoundError:
        raise UriError(redacted(uri), "no such file", "missing") from None
    except OSError as error:
        raise UriError(redacted(uri), f"cannot be copied to this computer: {error.strerror}") from None
