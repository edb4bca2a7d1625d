"""What a table on disk holds, row by row."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from emocatcher.foundation.errors import MissingExtraError, OutputError


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, without their ends; a torn last line is cut off."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(whole)
                return
            whole += len(line)
            yield line.removesuffix(b"\n")


def array_lines(path: Path) -> Iterator[bytes]:
    """The elements of a JSON table, each on one line.

    Raises:
        msgspec.DecodeError: if it is no JSON array of objects.
    """
    yield from map(msgspec.json.encode, msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]]))


def csv_rows(path: Path) -> Iterator[list[str]]:
    """The values of each row of a CSV file, the header first; a torn last line is cut off first."""
    yield from csv.reader(line.decode() for line in whole_lines(path))


def parquet_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Some columns of each row of a Parquet file; nothing where there is no file.

    Raises:
        OutputError: if it is not Parquet, or has no such column.
        MissingExtraError: if pyarrow is not installed.
    """
    if path.exists():
        with _open_parquet(path) as file:
            for batch in file.iter_batches(columns=columns):
                yield from batch.select(columns).to_pylist()


def parquet_columns(path: Path) -> list[str]:
    """The names of all columns of a Parquet file.

    Raises:
        OutputError: if it is not Parquet.
        MissingExtraError: if pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        return list(file.schema_arrow.names)


@contextlib.contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    pa, parquet = pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"{path} is not a table that was begun here ({reason}). Give --overwrite") from None


def pyarrow() -> tuple[Any, Any]:
    """Pyarrow and its Parquet part.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "batch") from None
    return pa, parquet
