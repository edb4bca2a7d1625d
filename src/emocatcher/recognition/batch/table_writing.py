"""Write tables row by row, so that they can be resumed where they stopped.

Lines (JSONL, CSV) are appended to the file itself. Formats that cannot grow line by line (JSON, Parquet) collect rows
in a journal next to the file, `.NAME.journal`; for Parquet, each full row group is moved from the journal into the
file, which is replaced atomically.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from emocatcher.foundation import atomic_files, csv_cells
from emocatcher.foundation.errors import OutputError, SettingError
from emocatcher.recognition.batch import rows, table_reading
from emocatcher.recognition.batch.rows import Outcome
from emocatcher.recognition.parquet import import_pyarrow

FORMATS = ("json", "jsonl", "csv", "parquet")
ROW_GROUP = 10_000  # rows


class Table(Protocol):
    """A table that rows are written to."""

    def append(self, outcome: Outcome) -> None:
        """Add one row; once this returns, a kill cannot lose the row."""

    def close(self, *, finished: bool) -> None:
        """Close the file so that it can be read; `finished` means that no rows will follow."""


def format_of(requested: str | None, out: Path | None) -> str:
    """Return the requested format, or the one of the file's suffix.

    Raises:
        SettingError: if the format is unknown or missing, or the suffix is that of another one.

    Examples:
        >>> format_of(None, Path("calls.parquet"))
        'parquet'
    """
    ending = out.suffix.removeprefix(".").lower() if out else ""
    name = requested or ending
    if name not in FORMATS:
        problem = f"'{name}' is not a format" if name else "No format was given"
        raise SettingError(f"{problem}. Give --format with one of: {', '.join(FORMATS)}")
    if out and ending in FORMATS and ending != name:
        raise SettingError(
            f"'{out.name}' ends with .{ending}, and --format is {name}. Give only one, or another ending"
        )
    return name


def open_table(path: Path | None, kind: str, labels: tuple[str, ...], stream: BinaryIO) -> Table:
    """Open a table for new rows, after those that `paths` returns.

    Args:
        path: the file; None writes to the stream.
        kind: one of `FORMATS`.
        labels: the model's.
        stream: where rows are written if `path` is None.

    Raises:
        OutputError: if the file cannot be written.
        MissingExtraError: if the format is Parquet and pyarrow is not installed.
    """
    if path is None:
        if kind == "parquet":
            raise SettingError("Parquet needs a file: give --out")
        return _Array(stream) if kind == "json" else _Lines(stream, kind, labels, is_new=True)
    if kind in ("jsonl", "csv"):
        file = path.open("ab")
        return _Lines(file, kind, labels, is_new=file.tell() == 0)
    return _Parquet(path, labels) if kind == "parquet" else _Journalled(path)


def paths(path: Path, kind: str) -> Iterator[str]:
    """Yield the paths of an unfinished table's rows, in order; an incomplete last line is truncated first.

    For a finished JSON table that will grow, or whose journal was removed before a kill, the journal is recreated.

    Raises:
        OutputError: if the file is not such a table.
    """
    try:
        if kind == "csv":
            lines = table_reading.csv_rows(table_reading.whole_lines(path))
            yield from (values[0] for values in itertools.islice(lines, 1, None))
            return
        if kind == "json" and path.exists() and not journal_of(path).exists():
            atomic_files.write_bytes(
                journal_of(path), b"".join(line + b"\n" for line in table_reading.array_lines(path))
            )
        if kind == "parquet":
            _drop_moved_rows(path)
            yield from (row["path"] for row in table_reading.parquet_rows(path, ["path"]))
        for line in table_reading.whole_lines(path if kind == "jsonl" else journal_of(path)):
            yield rows.decode(line).path
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError, csv.Error) as error:
        raise OutputError(f"{path} is not a table of emocatcher ({error}). Give --overwrite, or another file") from None


def journal_of(path: Path) -> Path:
    """Return the path of the journal of a table that cannot grow line by line."""
    return path.with_name(f".{path.name}.journal")


class _Lines:
    def __init__(self, file: BinaryIO, kind: str, labels: tuple[str, ...], *, is_new: bool) -> None:
        self._file, self._kind, self._labels = file, kind, labels
        self._columns = list(rows.columns(labels))
        if kind == "csv" and is_new:
            self._write(csv_cells.write_rows([self._columns]).encode())

    def append(self, outcome: Outcome) -> None:
        outcome = rows.printable(outcome)
        if self._kind == "jsonl":
            self._write(msgspec.json.encode(outcome) + b"\n")
        else:
            values = rows.row(outcome, self._labels)
            self._write(csv_cells.write_rows([[values[name] for name in self._columns]]).encode())

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 (lines are complete at any moment)
        self._file.flush()
        if isinstance(self._file, io.BufferedWriter) and self._file.name != "<stdout>":
            self._file.close()

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()


class _Array:
    """Writes JSON to a pipe, row by row."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._before = stream, b"[\n"

    def append(self, outcome: Outcome) -> None:
        self._stream.write(self._before + msgspec.json.encode(rows.printable(outcome)))
        self._stream.flush()
        self._before = b",\n"

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 (an interrupted table is valid JSON too)
        self._stream.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")
        self._stream.flush()


class _Journalled:
    def __init__(self, path: Path) -> None:
        self._path, self._journal = path, journal_of(path)
        self._file = self._journal.open("ab")

    def append(self, outcome: Outcome) -> None:
        self._file.write(msgspec.json.encode(rows.printable(outcome)) + b"\n")
        self._file.flush()

    def close(self, *, finished: bool) -> None:
        self._file.close()
        if finished:
            lines = b",\n".join(table_reading.whole_lines(self._journal))
            atomic_files.write_bytes(self._path, b"[\n" + lines + b"\n]\n" if lines else b"[]\n")
            self._journal.unlink()


class _Parquet(_Journalled):
    """Writes each new row group, with the old ones, into a new file that replaces the old one.

    Parquet files cannot be appended to. The old row groups are copied one by one, in constant memory; with ten thousand
    rows per group, that takes a hundredth of the time of recognising the recordings.
    """

    def __init__(self, path: Path, labels: tuple[str, ...]) -> None:
        import_pyarrow()
        self._labels = labels
        super().__init__(path)
        self._n_waiting = sum(1 for _ in table_reading.whole_lines(self._journal))

    def append(self, outcome: Outcome) -> None:
        super().append(outcome)
        self._n_waiting += 1
        if self._n_waiting >= ROW_GROUP:
            self._move_rows()

    def close(self, *, finished: bool) -> None:
        # Also after an interruption, so that the rows so far can be read.
        if self._n_waiting or not self._path.exists():
            self._move_rows()
        self._file.close()
        if finished:
            self._journal.unlink()

    def _move_rows(self) -> None:
        pa, parquet = import_pyarrow()
        kinds = {str: pa.string(), float: pa.float64(), bool: pa.bool_(), int: pa.int64()}
        columns = rows.columns(self._labels)
        schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
        waiting = [rows.row(rows.decode(line), self._labels) for line in table_reading.whole_lines(self._journal)]
        temporary = self._path.with_name(f".{self._path.name}.new")
        try:
            with parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
                if self._path.exists():
                    with parquet.ParquetFile(self._path) as before:
                        for number in range(before.num_row_groups):
                            writer.write_table(before.read_row_group(number))
                if waiting:
                    writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)
        self._file.truncate(0)
        self._n_waiting = 0


def _drop_moved_rows(path: Path) -> None:
    """Empty the journal if its rows are in the file already, as after a kill between the two steps."""
    journal = journal_of(path)
    if not (path.exists() and journal.exists()):
        return
    waiting = [rows.decode(line).path for line in table_reading.whole_lines(journal)]
    written = [row["path"] for row in table_reading.parquet_rows(path, ["path"])]
    if waiting and written[-len(waiting) :] == waiting:
        journal.write_bytes(b"")


def remove(path: Path) -> None:
    """Remove a table and its journal.

    Raises:
        OSError: if one of them cannot be removed.
    """
    for part in (path, journal_of(path)):
        if os.path.lexists(part):
            part.unlink()
