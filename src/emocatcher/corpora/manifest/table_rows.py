"""Read the rows of a table in CSV, JSONL or Parquet, each with its place for error messages."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from emocatcher.corpora import parquet_table
from emocatcher.foundation import text_tables
from emocatcher.foundation.errors import ManifestError

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")


class Row(NamedTuple):
    """The cells of one row by their column."""

    place: str  # the file and the row, for error messages
    cells: dict[str, Any]


def read(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[Row]:
    """Yield the rows of a table; of Parquet only the wanted columns, of the others all.

    Raises:
        ManifestError: if the table cannot be read; the message names the file and the row.
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """
    if not path.is_file():
        raise ManifestError(f"{path}: no such file. Give a table as {', '.join(FORMATS)}")
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return _csv_rows(path)
        case ".jsonl":
            return _jsonl_rows(path)
        case ".parquet":
            return _parquet_rows(path, is_wanted)
    raise ManifestError(f"{path} is not a table that can be read. Allowed: {', '.join(FORMATS)}")


def header(path: Path) -> list[str]:
    """Return the columns of CSV as its header spells them; the cells of `read` have them in small letters."""
    return text_tables.CsvRows(io.StringIO(_read_text(path), newline=""), str(path)).columns


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    encoding = text_tables.encoding_of(content[:4])
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        known = "UTF-8" if encoding == "utf-8-sig" else "UTF-16"
        raise ManifestError(f"{path}, row {row}: not {known}. Save the table again with the encoding UTF-8.") from None


def _csv_rows(path: Path) -> Iterator[Row]:
    rows = text_tables.CsvRows(io.StringIO(_read_text(path), newline=""), str(path), str.lower)
    return (Row(f"{path}, row {number}", cells) for number, cells in rows)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"{path}, row {number}"
            try:
                yield Row(place, msgspec.json.decode(line, type=dict[str, Any]))
            except (msgspec.DecodeError, RecursionError) as error:
                raise ManifestError(f"{place}: not a JSON object: {error}. Give one object per line.") from None


def _parquet_rows(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[Row]:
    wanted = set(filter(is_wanted, parquet_table.columns(path)))
    for number, cells in enumerate(parquet_table.rows(path, wanted), start=1):
        yield Row(f"{path}, row {number}", cells)
