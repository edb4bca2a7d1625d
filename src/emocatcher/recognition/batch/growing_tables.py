"""Tables that grow row by row, and are taken up where they were cut.

Lines (JSONL, CSV) are appended to the file itself. What cannot grow line by line (JSON, Parquet) gathers in a journal
beside it, `.NAME.journal`; Parquet takes the journal over a row group at a time, into a file that is there whole.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import OutputError, SettingError
from emocatcher.recognition.batch import rows, table_reading
from emocatcher.recognition.batch.rows import Outcome

FORMATS = ("json", "jsonl", "csv", "parquet")
ROW_GROUP = 10_000  # rows


class Table(Protocol):
    """Where rows go."""

    def append(self, outcome: Outcome) -> None:
        """Add one row; once this returns, a kill does not lose it."""

    def close(self, *, finished: bool) -> None:
        """Leave the file as it can be read; `finished` says that no row is to follow."""


def format_of(asked: str | None, out: Path | None) -> str:
    """The format asked for, or the one that the file's name tells.

    Raises:
        SettingError: if there is none of that name, the file's name does not tell, or it tells another.

    Examples:
        >>> format_of(None, Path("calls.parquet"))
        'parquet'
    """
    ending = out.suffix.removeprefix(".").lower() if out else ""
    name = asked or ending
    if name not in FORMATS:
        given = f"'{name}' is not a format" if name else "No format was given"
        raise SettingError(f"{given}. Give --format with one of: {', '.join(FORMATS)}")
    if out and ending in FORMATS and ending != name:
        raise SettingError(
            f"'{out.name}' ends with .{ending}, and --format is {name}. Give only one, or another ending"
        )
    return name


def open_table(path: Path | None, kind: str, labels: tuple[str, ...], stream: BinaryIO) -> Table:
    """A table for new rows, after those that `paths` gives.

    Args:
        path: the file; None writes to the stream.
        kind: one of `FORMATS`.
        labels: the model's.
        stream: where rows go that go to no file.

    Raises:
        OutputError: if the file cannot be written.
        MissingExtraError: if Parquet is asked for and pyarrow is not installed.
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
    """The paths of the rows that an unfinished table holds, in order; a torn last line is cut off first.

    A finished JSON table that is to grow, or whose journal a kill removed, gets its journal back.

    Raises:
        OutputError: if what is there is not such a table.
    """
    try:
        if kind == "csv":
            yield from (values[0] for values in itertools.islice(table_reading.csv_rows(path), 1, None))
            return
        if kind == "json" and path.exists() and not journal_of(path).exists():
            atomic_files.write_bytes(
                journal_of(path), b"".join(line + b"\n" for line in table_reading.array_lines(path))
            )
        if kind == "parquet":
            _drop_what_was_taken_over(path)
            yield from (row["path"] for row in table_reading.parquet_rows(path, ["path"]))
        for line in table_reading.whole_lines(path if kind == "jsonl" else journal_of(path)):
            yield rows.decode(line).path
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError, csv.Error) as error:
        raise OutputError(
            f"{path} is not a table that was begun here ({error}). Give --overwrite, or another"
        ) from None


def journal_of(path: Path) -> Path:
    """Where the rows of a table gather that cannot grow line by line."""
    return path.with_name(f".{path.name}.journal")


class _Lines:
    def __init__(self, file: BinaryIO, kind: str, labels: tuple[str, ...], *, is_new: bool) -> None:
        self._file, self._kind, self._labels = file, kind, labels
        self._columns = list(rows.columns(labels))
        if kind == "csv" and is_new:
            self._write(_csv_line(self._columns))

    def append(self, outcome: Outcome) -> None:
        outcome = rows.printable(outcome)
        if self._kind == "jsonl":
            self._write(msgspec.json.encode(outcome) + b"\n")
        else:
            values = rows.row(outcome, self._labels)
            self._write(_csv_line([values[name] for name in self._columns]))

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 (lines are whole at any moment)
        self._file.flush()
        if isinstance(self._file, io.BufferedWriter) and self._file.name != "<stdout>":
            self._file.close()

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()


class _Array:
    """JSON to a pipe, as it comes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._before = stream, b"[\n"

    def append(self, outcome: Outcome) -> None:
        self._stream.write(self._before + msgspec.json.encode(rows.printable(outcome)))
        self._stream.flush()
        self._before = b",\n"

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 (what was cut is JSON all the same)
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
    """Parquet cannot be appended to, so each new row group goes with the old ones into a new file, which replaces it.

    The old ones are copied group by group, in flat memory; at ten thousand rows a group that costs a hundredth of
    what the recordings do.
    """

    def __init__(self, path: Path, labels: tuple[str, ...]) -> None:
        table_reading.pyarrow()
        self._labels = labels
        super().__init__(path)
        self._n_waiting = sum(1 for _ in table_reading.whole_lines(self._journal))

    def append(self, outcome: Outcome) -> None:
        super().append(outcome)
        self._n_waiting += 1
        if self._n_waiting >= ROW_GROUP:
            self._take_over()

    def close(self, *, finished: bool) -> None:
        # Also where it was cut: what is done can then be read.
        if self._n_waiting or not self._path.exists():
            self._take_over()
        self._file.close()
        if finished:
            self._journal.unlink()

    def _take_over(self) -> None:
        pa, parquet = table_reading.pyarrow()
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


def _drop_what_was_taken_over(path: Path) -> None:
    """A kill between the new file and the emptied journal leaves rows in both."""
    journal = journal_of(path)
    if not (path.exists() and journal.exists()):
        return
    waiting = [rows.decode(line).path for line in table_reading.whole_lines(journal)]
    written = [row["path"] for row in table_reading.parquet_rows(path, ["path"])]
    if waiting and written[-len(waiting) :] == waiting:
        journal.write_bytes(b"")


def _csv_line(values: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


def remove(path: Path) -> None:
    """Remove a table and what stands beside it.

    Raises:
        OSError: if it cannot be removed.
    """
    for part in (path, journal_of(path)):
        if os.path.lexists(part):
            part.unlink()
