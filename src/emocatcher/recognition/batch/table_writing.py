"""Write tables row by row, so that they can be resumed where they stopped.

Lines (JSONL, CSV) are appended to the file itself. Formats that cannot grow line by line (JSON, Parquet) collect rows
in a journal next to the file, `.NAME.journal`; for Parquet, each full row group is moved from the journal into the
file, which is replaced atomically.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from emocatcher.foundation import atomic_files, csv_cells, uris
from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.recognition.batch import rows, table_reading, unfinished_tables
from emocatcher.recognition.batch.line_file import LineFile
from emocatcher.recognition.batch.rows import Outcome, Outputs
from emocatcher.recognition.batch.unfinished_tables import journal_of

FORMATS = ("json", "jsonl", "csv", "parquet")
ROW_GROUP = 10_000  # rows


class Table(Protocol):
    """A table that rows are written to."""

    def append(self, *outcomes: Outcome) -> None:
        """Add the rows of one recording, all or none; once this returns, a kill cannot lose them."""

    def close(self, *, finished: bool) -> None:
        """Close the file so that it can be read; `finished` means that no rows will follow."""


def format_of(requested: str | None, out: Path | str | None) -> str:
    """Return the requested format, or the one of the file's suffix.

    Raises:
        MissingExtraError: if the format is Parquet and pyarrow is not installed.
        SettingError: if the format is unknown or missing, or the suffix is that of another one.
        UriError: if it is a URI that cannot be written to.

    Examples:
        >>> format_of(None, Path("calls.parquet"))
        'parquet'
    """
    if uris.is_uri(out):
        uris.check_writable(out)
        out = uris.redacted(out)
    out = Path(out) if out else None  # also of a URI, this has the name and its suffix
    ending = out.suffix.removeprefix(".").lower() if out else ""
    name = requested or ending
    if name == "audformat":
        raise SettingError(
            "audformat is written from a finished table. Write one with --out answers.csv, and then: emocatcher "
            "convert answers.csv --to FOLDER --as audformat"
        )
    if name not in FORMATS:
        problem = f"'{name}' is not a format" if name else "No format was given"
        raise SettingError(f"{problem}. Give --format with one of: {', '.join(FORMATS)}")
    if out and ending in FORMATS and ending != name:
        raise SettingError(
            f"'{out.name}' ends with .{ending}, and --format is {name}. Give only one, or another ending"
        )
    if name == "parquet":
        import_pyarrow()  # before hours of sound are processed
    return name


def open_table(path: Path | None, kind: str, outputs: Outputs, stream: BinaryIO) -> Table:
    """Open a table for new rows, after those that `unfinished_tables.read` yields.

    A finished JSON table, or one whose journal was removed before a kill, gets its journal again.

    Args:
        path: the file; None writes to the stream.
        kind: one of `FORMATS`.
        outputs: what the model returns.
        stream: where rows are written if `path` is None.

    Raises:
        OutputError: if the file cannot be written.
        MissingExtraError: if the format is Parquet and pyarrow is not installed.
    """
    if path is None:
        if kind == "parquet":
            raise SettingError("Parquet needs a file: give --out")
        return _Array(stream) if kind == "json" else _Lines(_Stream(stream), kind, outputs, is_new=True)
    if kind in ("jsonl", "csv"):
        file = LineFile(path)
        return _Lines(file, kind, outputs, is_new=file.is_empty)
    return _Parquet(path, outputs) if kind == "parquet" else _Json(path)


class _Stream:
    """Writes lines to a pipe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def append(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class _Lines:
    def __init__(self, file: LineFile | _Stream, kind: str, outputs: Outputs, *, is_new: bool) -> None:
        self._file, self._kind, self._outputs = file, kind, outputs
        self._columns = list(rows.columns(outputs))
        if kind == "csv" and is_new:
            self._file.append(csv_cells.write_rows([self._columns]).encode())

    def append(self, *outcomes: Outcome) -> None:
        if self._kind == "jsonl":
            self._file.append(_json_lines(outcomes))
        else:
            found = [rows.row(rows.printable(outcome), self._outputs) for outcome in outcomes]
            self._file.append(csv_cells.write_rows([row[name] for name in self._columns] for row in found).encode())

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 (lines are complete at any moment)
        self._file.close()


class _Array:
    """Writes JSON to a pipe, row by row."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._before = stream, b"[\n"

    def append(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            self._stream.write(self._before + msgspec.json.encode(rows.printable(outcome)))
            self._stream.flush()
            self._before = b",\n"

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 (an interrupted table is valid JSON too)
        self._stream.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")
        self._stream.flush()


class _Journalled:
    def __init__(self, path: Path) -> None:
        self._path, self._journal = path, journal_of(path)
        self._file = LineFile(self._journal)

    def append(self, *outcomes: Outcome) -> None:
        self._file.append(_json_lines(outcomes))

    def close(self, *, finished: bool) -> None:
        self._file.close()
        if finished:
            with atomic_files.replacing(self._path) as file:
                before = b"[\n"
                for line in table_reading.whole_lines(self._journal):
                    file.write(before + line)
                    before = b",\n"
                file.write(b"[]\n" if before == b"[\n" else b"\n]\n")
            self._journal.unlink()


class _Json(_Journalled):
    def __init__(self, path: Path) -> None:
        if path.exists() and not journal_of(path).exists():
            with atomic_files.replacing(journal_of(path)) as file:
                file.writelines(line + b"\n" for line in table_reading.array_lines(path))
        super().__init__(path)


class _Parquet(_Journalled):
    """Writes each new row group, with the old ones, into a new file that replaces the old one.

    Parquet files cannot be appended to. The old row groups are copied one by one, in constant memory; with ten thousand
    rows per group, that takes a hundredth of the time of recognising the recordings.
    """

    def __init__(self, path: Path, outputs: Outputs) -> None:
        import_pyarrow()
        self._outputs = outputs
        super().__init__(path)
        self._n_waiting = len(unfinished_tables.waiting(path))
        if self._n_waiting == 0:
            self._file.clear()  # its rows are in the table already

    def append(self, *outcomes: Outcome) -> None:
        super().append(*outcomes)
        self._n_waiting += len(outcomes)
        if self._n_waiting >= ROW_GROUP:
            self._move_rows()

    def close(self, *, finished: bool) -> None:
        # Also after an interruption, so that the rows so far can be read.
        try:
            if self._n_waiting or (finished and not self._path.exists()):
                self._move_rows()
        finally:
            self._file.close()
        if finished:
            self._journal.unlink()

    def _move_rows(self) -> None:
        waiting = [rows.row(rows.decode(line), self._outputs) for line in table_reading.whole_lines(self._journal)]
        rewrite_parquet(self._path, self._outputs, waiting)
        self._file.clear()
        self._n_waiting = 0


def _json_lines(outcomes: Sequence[Outcome]) -> bytes:
    return b"".join(msgspec.json.encode(rows.printable(outcome)) + b"\n" for outcome in outcomes)


def rewrite_parquet(
    path: Path, outputs: Outputs, new: list[dict[str, rows.Value]], *, without_failures: bool = False
) -> None:
    """Write a new Parquet file with the row groups of the old one, if there is one, and a group of new rows.

    Raises:
        OSError: if the file cannot be written; it is then unchanged.
    """
    pa, parquet = import_pyarrow()
    kinds = {str: pa.string(), float: pa.float64(), bool: pa.bool_(), int: pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in rows.columns(outputs).items()])
    temporary = path.with_name(f".{path.name}.new")
    try:
        with parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
            if path.exists():
                with parquet.ParquetFile(path) as before:
                    for number in range(before.num_row_groups):
                        group = before.read_row_group(number)
                        writer.write_table(group.filter(group["error"].is_null()) if without_failures else group)
            if new:
                writer.write_table(pa.Table.from_pylist(new, schema=schema))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a table and its journal.

    Raises:
        OSError: if one of them cannot be removed.
    """
    for part in (path, journal_of(path)):
        if os.path.lexists(part):
            part.unlink()
