"""Remove the rows of failed recordings from a table, so that these recordings are recognised again."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from emocatcher.foundation import atomic_files
from emocatcher.recognition.batch import rows, table_reading, table_writing, unfinished_tables
from emocatcher.recognition.batch.rows import Outputs
from emocatcher.recognition.batch.unfinished_tables import journal_of
from emocatcher.recognition.prediction import Failure


def remove_failures(path: Path, kind: str, outputs: Outputs) -> None:
    """Remove the rows of failed recordings from a table that `finished_tables` or `unfinished_tables` has read.

    Raises:
        OSError: if the table cannot be written; it then has its old rows.
    """
    if kind == "parquet":
        journal = journal_of(path)
        if unfinished_tables.waiting(path):
            _keep(journal, _successes(table_reading.whole_lines(journal)))
        else:
            journal.unlink(missing_ok=True)  # its rows are in the table already
        if path.exists():
            table_writing.rewrite_parquet(path, outputs, [], without_failures=True)
    elif kind == "csv":
        _keep(path, _csv_successes(table_reading.whole_lines(path)))
    elif kind == "json" and not journal_of(path).exists():
        _keep(journal_of(path), _successes(table_reading.array_lines(path)))
    else:
        growing = path if kind == "jsonl" else journal_of(path)
        _keep(growing, _successes(table_reading.whole_lines(growing)))


def _keep(path: Path, lines: Iterator[bytes]) -> None:
    with atomic_files.replacing(path) as file:
        file.writelines(line + b"\n" for line in lines)


def _successes(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (line for line in lines if not isinstance(rows.decode(line), Failure))


def _csv_successes(lines: Iterator[bytes]) -> Iterator[bytes]:
    header = next(lines)
    yield header
    position = next(csv.reader([header.decode()])).index("error")
    for line in lines:
        if not next(csv.reader([line.decode()]))[position]:
            yield line
