"""Read the rows of a table in CSV, JSONL or Parquet, each with its place for error messages."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from emocatcher.corpora import parquet_table
from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import ManifestError

FORMATS = (".csv", ".jsonl", ".parquet")


class Row(NamedTuple):
    """The cells of one row by their column."""

    place: str  # the file and the row, for error messages
    cells: dict[str, Any]


def read(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Yield the rows of a table; of Parquet only the wanted columns, of the others all.

    Raises:
        ManifestError: if the table cannot be read; the message names the file and the row.
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """
    if not path.is_file():
        raise ManifestError(f"{path}: no such file. Give a table as {', '.join(FORMATS)}")
    match path.suffix.lower():
        case ".csv":
            return _csv_rows(path)
        case ".jsonl":
            return _jsonl_rows(path)
        case ".parquet":
            return _parquet_rows(path, wanted)
    raise ManifestError(f"{path} is not a table that can be read. Allowed: {', '.join(FORMATS)}")


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as Excel's "Unicode text"
        raise ManifestError(f"{path} is UTF-16 text. Save the table again with the encoding UTF-8.")
    try:
        return content.decode("utf-8-sig")  # Excel writes UTF-8 with a byte order mark
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise ManifestError(f"{path}, row {row}: not UTF-8. Save the table again with the encoding UTF-8.") from None


def _csv_rows(path: Path) -> Iterator[Row]:
    text = _read_text(path)
    header_line = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header_line.count), strict=True)
    try:
        header = [column.strip().lower() for column in next(lines, [])]
        if twice := [column for column, n in Counter(filter(None, header)).items() if n > 1]:
            raise ManifestError(f"{path} has the column '{twice[0]}' twice. Rename or remove one of them.")
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            place = f"{path}, row {lines.line_num}"
            if len(cells) > len(header):
                raise ManifestError(
                    f"{place}: {len(cells)} cells for {len(header)} columns ({', '.join(header)}). "
                    "Put cells that contain the separator in double quotes."
                )
            # Some programs omit empty cells at the end of a row.
            whole = [*map(csv_cells.unmarked, cells), *[""] * (len(header) - len(cells))]
            yield Row(place, dict(zip(header, whole, strict=True)))
    except csv.Error as error:
        raise ManifestError(f"{path}, row {lines.line_num}: not CSV: {error}. Correct the row.") from None


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"{path}, row {number}"
            try:
                yield Row(place, msgspec.json.decode(line, type=dict[str, Any]))
            except (msgspec.DecodeError, RecursionError) as error:
                raise ManifestError(f"{place}: not a JSON object: {error}. Give one object per line.") from None


def _parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    for number, cells in enumerate(parquet_table.rows(path, wanted), start=1):
        yield Row(f"{path}, row {number}", cells)
