"""Feature rows in one file that worker processes map into memory, so that they do not each hold a copy."""

from __future__ import annotations

import math
import mmap
import multiprocessing.reduction
import os
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import FeatureCacheError


class Span(NamedTuple):
    """The place of an array in a `RowFile`."""

    offset: int  # bytes
    shape: tuple[int, ...]


class RowFile:
    """A temporary file without a name: the system deletes it when its processes have ended, even if they are killed.

    It is pickled only as an argument of a process that is being spawned; the process inherits the open file. Not on
    Windows, where a process cannot inherit it.

    Args:
        file: the file if it is open already; by default a new one.

    Raises:
        FeatureCacheError: if the file cannot be created.
    """

    def __init__(self, file: BinaryIO | None = None) -> None:
        try:
            self._file = file or tempfile.TemporaryFile()  # noqa: SIM115 (open as long as this object)
        except OSError as error:
            raise _unwritable(error) from error

    def __reduce__(self) -> tuple[Callable[..., RowFile], tuple[Any, ...]]:
        return _opened, (multiprocessing.reduction.DupFd(self._file.fileno()),)

    def append(self, rows: NDArray[np.float32]) -> Span:
        """Write an array, and return its place.

        Raises:
            FeatureCacheError: if it cannot be written.
        """
        try:
            offset = self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(rows, np.float32).data.cast("B"))
            self._file.flush()
        except OSError as error:
            raise _unwritable(error) from error
        return Span(offset, rows.shape)

    def map(self, span: Span) -> NDArray[np.float32]:
        """Return the array at a place, read-only; all processes share its memory."""
        whole = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(whole, np.float32, math.prod(span.shape), span.offset).reshape(span.shape)

    def close(self) -> None:
        """Close the file; arrays that are mapped stay."""
        self._file.close()


_inherited: RowFile


def inherit(file: RowFile) -> None:
    """Keep the file that this worker inherited, for `map_inherited`."""
    global _inherited
    _inherited = file


def map_inherited(span: Span) -> NDArray[np.float32]:
    """Return an array in the inherited file, as `RowFile.map` does; only in a worker."""
    return _inherited.map(span)


def _opened(descriptor: Any) -> RowFile:
    return RowFile(os.fdopen(descriptor.detach(), "rb"))


def _unwritable(error: OSError) -> FeatureCacheError:
    return FeatureCacheError(
        f"The features cannot be written to a temporary file in {tempfile.gettempdir()}: {error.strerror}. "
        "Free some space, or name another folder with TMPDIR"
    )
