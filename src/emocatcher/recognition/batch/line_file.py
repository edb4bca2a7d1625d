"""A file of lines that grows by whole lines: what a kill or a full disk leaves of a line is removed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 16  # bytes


class LineFile:
    """Appends lines to a file; once `append` returns, a kill cannot lose the line.

    Nothing is buffered: after a failed write, a buffer would be written again when the file is closed.

    Args:
        path: the file; it is created if it does not exist, and an incomplete last line of it is removed.

    Raises:
        OSError: if the file cannot be opened, or a line cannot be written. The file then ends with the line before.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        self._end = _end_of_lines(self._file)
        self._file.truncate(self._end)

    @property
    def is_empty(self) -> bool:
        """Whether the file has no line."""
        return self._end == 0

    def append(self, line: bytes) -> None:
        """Append a line, which ends with its line break, or several of them, all or none."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += len(line)

    def clear(self) -> None:
        """Remove all lines."""
        self._file.truncate(0)
        self._end = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _end_of_lines(file: BinaryIO) -> int:
    """Return the position after the last line break."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(end - _BLOCK, 0)
        file.seek(start)
        if (position := file.read(end - start).rfind(b"\n")) >= 0:
            return start + position + 1
        end = start
    return 0
