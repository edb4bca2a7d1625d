"""Read a table on disk row by row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import OutputError
from emocatcher.foundation.parquet import import_pyarrow


def whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of an unfinished table, without line breaks and without an incomplete last line.

    The file is never changed; nothing is yielded if it does not exist.
    """
    if path.exists():
        with path.open("rb") as file:
            yield from (line.removesuffix(b"\n") for line in file if line.endswith(b"\n"))


def finished_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a finished table, without line breaks. The file is never changed.

    Raises:
        ValueError: if the last line has no line break, so that a new row would be appended to it.
    """
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                raise ValueError("its last line has no line break; add one")
            yield line.removesuffix(b"\n")


def array_lines(path: Path) -> Iterator[bytes]:
    """Yield the elements of a JSON table, each as one line.

    Raises:
        msgspec.DecodeError: if the file is not a JSON array of objects.
    """
    yield from map(msgspec.json.encode, msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]]))


def csv_rows(lines: Iterator[bytes]) -> Iterator[list[str]]:
    """Yield the values of each row of CSV lines, the header first."""
    yield from csv_cells.read_rows(line.decode() + "\n" for line in lines)


def parquet_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield some columns of each row of a Parquet file; nothing if the file does not exist.

    Raises:
        OutputError: if it is not Parquet, or lacks a column.
        MissingExtraError: if pyarrow is not installed.
    """
    if path.exists():
        with _open_parquet(path) as file:
            for batch in file.iter_batches(columns=columns):
                yield from batch.select(columns).to_pylist()


def parquet_columns(path: Path) -> list[str]:
    """Return the names of all columns of a Parquet file.

    Raises:
        OutputError: if it is not Parquet.
        MissingExtraError: if pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        return list(file.schema_arrow.names)


@contextlib.contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    pa, parquet = import_pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"{path} is not a table of emocatcher ({reason}). Give --overwrite") from None
