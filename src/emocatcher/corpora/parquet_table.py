"""Read a Parquet table of recordings, whose file is small if many rows hold the same text, in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from emocatcher.foundation.errors import ManifestError
from emocatcher.foundation.parquet import import_pyarrow

_MOST_ROWS, _MOST_BYTES = 5_000_000, 1 << 29
_LONGEST_TEXT = 1 << 16  # bytes
_ROWS_AT_ONCE = 1 << 14


def columns(path: Path) -> list[str]:
    """Return the names of all columns.

    Raises:
        ManifestError: if the file is not Parquet.
        MissingExtraError: if pyarrow is not installed.
    """
    _, parquet = import_pyarrow()
    with _readable(path):
        return list(parquet.read_schema(path).names)


def rows(path: Path, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row by their column; columns that are not wanted are None.

    Raises:
        ManifestError: if the file is not Parquet, or expands to more than such tables hold.
        MissingExtraError: if pyarrow is not installed.
    """
    _, parquet = import_pyarrow()
    with _readable(path):
        metadata = parquet.read_metadata(path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
        names = metadata.schema.to_arrow_schema().names
        known = [name for name in names if name in wanted]
        others = dict.fromkeys(name for name in names if name not in wanted)
        found = [one for one in chunks if _first(one) in wanted and one.path_in_schema not in others]
        if (n_rows := metadata.num_rows) > _MOST_ROWS:
            raise ManifestError(f"{path} has {n_rows:,} rows; allowed are {_MOST_ROWS:,}. Split the table")
        if (n_bytes := sum(column.total_uncompressed_size for column in found)) > _MOST_BYTES:
            raise ManifestError(f"{path} expands to {n_bytes:,} bytes; allowed are {_MOST_BYTES:,}. Split the table")
        if nested := [_first(column) for column in found if column.path_in_schema not in known]:
            raise ManifestError(f"{path}: {nested[0]} holds lists or the like. Give text or a number")
        # A text of many rows is then held once, so that its length is known before it is copied for each of them.
        texts = list({column.path_in_schema for column in found if column.physical_type == "BYTE_ARRAY"})
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=known):
                for name in texts:
                    _refuse_long_texts(path, name, batch.column(name))
                for cells in _in_microseconds(batch).to_pylist():
                    yield {**cells, **others}


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    pa, _ = import_pyarrow()
    try:
        yield
    except (pa.ArrowException, KeyError, OSError) as error:  # KeyError: two columns of one name
        reason = str(error).splitlines()[0].rstrip(".")
        raise ManifestError(f"{path} is not a Parquet file: {reason}. Write the table again.") from None


def _in_microseconds(batch: Any) -> Any:
    """Return the rows with times and durations in nanoseconds, which pandas writes, as those that Python has."""
    pa, _ = import_pyarrow()
    for number, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            kind = pa.timestamp("us", field.type.tz)
        elif pa.types.is_duration(field.type):
            kind = pa.duration("us")
        else:
            continue
        if field.type.unit == "ns":
            batch = batch.set_column(number, field.name, batch.column(number).cast(kind, safe=False))
    return batch


def _first(column: Any) -> str:
    return str(column.path_in_schema).partition(".")[0]


def _refuse_long_texts(path: Path, name: str, column: Any) -> None:
    from pyarrow import compute

    longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
    if longest > _LONGEST_TEXT:
        raise ManifestError(
            f"{path}: the longest text of {name} has {longest:,} bytes; allowed are {_LONGEST_TEXT:,}. Shorten it"
        )
