"""Read the tables of an audformat database, as CSV or Parquet; pickled tables are never opened."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from emocatcher.corpora.manifest import table_rows
from emocatcher.corpora.manifest.columns import text_of
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.foundation.errors import CorpusError

# As pandas writes a time: "0 days 00:00:01.500000".
_TIME = re.compile(r"(?:(\d{1,6}) days?,? )?\+?(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,12})?)")
_FORMATS = (".parquet", ".csv")  # in the order in which audformat takes them


class Place(NamedTuple):
    """What a row of a table is about: a file, or a segment of it."""

    file: str
    start_s: float | None = None
    end_s: float | None = None


def path_of(folder: Path, table: str) -> Path:
    """Return the file of a table.

    Raises:
        CorpusError: if there is none that can be read.
    """
    stem = folder / f"db.{table}"
    if stem.name != f"db.{table}":
        raise CorpusError(f"{folder / 'db.yaml'} names the table {table[:200]!r}, which is no name of a file")
    found = next((path for path in (stem.with_name(stem.name + kind) for kind in _FORMATS) if path.is_file()), None)
    if found is None:
        pickled = stem.with_name(f"{stem.name}.pkl")
        why = " as pickle, which can run code and is not opened" if pickled.is_file() else ""
        raise CorpusError(
            f"{folder} has the table {table}{' only' if why else ''}{why or ' in its header, and no file for it'}. "
            "Save the database with storage_format='csv'"
        )
    return found


def rows(path: Path) -> Iterator[tuple[Place, Row]]:
    """Yield each row of a table of files or segments, with its other cells as text or numbers.

    Raises:
        CorpusError: if the table cannot be read.
        MissingExtraError: if it is Parquet and pyarrow is not installed.
    """
    for row in table_rows.read(path, lambda _: True):
        cells = dict(row.cells)
        file = text_of(row, "file")
        if file is None:
            raise CorpusError(f"{row.place}: no file. A table of audformat has it in its first column")
        start_s, end_s = (_seconds(row, name) for name in ("start", "end"))
        for name in ("file", "start", "end"):
            cells.pop(name, None)
        yield Place(file, start_s or None, end_s), Row(row.place, cells)


def _seconds(row: Row, column: str) -> float | None:
    value: Any = row.cells.get(column)
    if isinstance(value, dt.timedelta):  # of Parquet
        return value.total_seconds()
    text = "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()
    if not text or text == "NaT":
        return None
    if found := _TIME.fullmatch(text):
        days, hours, minutes, seconds = found.groups()
        return int(days or 0) * 86_400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.0 <= number < math.inf:
        raise CorpusError(f"{row.place}: {column} is {text[:80]!r}. Give a time such as 0 days 00:00:01.5")
    return number
