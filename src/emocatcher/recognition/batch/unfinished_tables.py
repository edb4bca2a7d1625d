"""Read the rows of a table that a kill or an error left unfinished; nothing is changed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import msgspec

from emocatcher.foundation.errors import OutputError
from emocatcher.recognition.batch import rows, table_reading
from emocatcher.recognition.batch.rows import Outputs, Written
from emocatcher.recognition.prediction import Failure


def journal_of(path: Path) -> Path:
    """Return the path of the journal of a table that cannot grow line by line."""
    return path.with_name(f".{path.name}.journal")


def read(path: Path, kind: str, outputs: Outputs) -> list[Written]:
    """Return the path of each row, in order, and whether it failed; an incomplete last line is ignored.

    Args:
        path: the table.
        kind: one of `tables.FORMATS`.
        outputs: what the model returns.

    Raises:
        OutputError: if the file is not such a table.
        MissingExtraError: if it is Parquet and pyarrow is not installed.
    """
    try:
        return list(_rows(path, kind, outputs))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError, csv.Error) as error:
        raise OutputError(f"{path} is not a table of emocatcher ({error}). Give --overwrite, or another file") from None


def _rows(path: Path, kind: str, outputs: Outputs) -> Iterator[Written]:
    if kind == "csv":
        columns = list(rows.columns(outputs))
        lines = table_reading.csv_rows(table_reading.whole_lines(path))
        if (found := next(lines, columns)) != columns:
            raise ValueError(f"its first line is {','.join(found)[:60]!r}")
        for values in lines:
            row = dict(zip(columns, values, strict=True))
            yield Written(row["path"], bool(row["error"]), int(row["channel"]) if row["channel"] else None)
    elif kind == "jsonl":
        yield from map(_written, table_reading.whole_lines(path))
    elif kind == "parquet":
        for cells in table_reading.parquet_rows(path, ["path", "error", "channel"]):
            yield Written(cells["path"], bool(cells["error"]), cells["channel"])
        yield from waiting(path)
    elif path.exists() and not journal_of(path).exists():
        yield from map(_written, table_reading.array_lines(path))
    else:
        yield from map(_written, table_reading.whole_lines(journal_of(path)))


def waiting(path: Path) -> list[Written]:
    """Return the rows in the journal of a Parquet table that are not in the table.

    After a kill between the two steps of moving them, they are in both.
    """
    journal = list(map(_written, table_reading.whole_lines(journal_of(path))))
    if journal and [row["path"] for row in table_reading.parquet_rows(path, ["path"])][-len(journal) :] == [
        row.path for row in journal
    ]:
        return []
    return journal


def _written(line: bytes) -> Written:
    outcome = rows.decode(line)
    if isinstance(outcome, Failure):
        return Written(outcome.path, failed=True)
    return Written(outcome.path, failed=False, channel=outcome.channel)
