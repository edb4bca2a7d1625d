"""Read the rows of a table in JSON, JSONL, CSV or Parquet as cells by column, a few at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from emocatcher.corpora import parquet_table
from emocatcher.foundation.errors import ManifestError
from emocatcher.foundation.text_tables import CsvRows, encoding_of
from emocatcher.recognition.batch import FORMATS
from emocatcher.recognition.batch.unfinished_tables import journal_of

Cells = dict[str, Any]

_NOTE = "_manifest.json"  # in the folder that --engine ray wrote
_CHUNK = 1 << 20  # characters that are read at once
_LONGEST_ROW = 1 << 24  # characters; the attention over a recording takes some ten thousand


class StoredRows:
    """The rows of a table, which are read in parts, so that memory does not grow with their number.

    Args:
        path: the table; its suffix names the format. Or the folder that `--engine ray` wrote, with Parquet files.

    Raises:
        ManifestError: if there is no such file, or it is not in one of the formats.
        MissingExtraError: if it is Parquet and pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []  # what the table has that is not used, one sentence each
        self._parts = _parts(path) if path.is_dir() else []
        self.kind = "parquet" if self._parts else path.suffix.lower().removeprefix(".")
        if self.kind not in FORMATS:
            raise ManifestError(f"{path} is not a table that can be read. Allowed: .{', .'.join(FORMATS)}")
        if self._parts:
            if not _is_finished(path):
                self.notes.append("The table is not finished: predict --resume adds the rest.")
            self._columns = self._read_columns()
            return
        self._parts = [path]
        unfinished = journal_of(path).exists()
        if not path.is_file():
            why = f"is not finished. Continue it with: emocatcher predict … --resume --out {path}"
            raise ManifestError(f"{path}{f' {why}' if unfinished else ': no such file. Give a table of predictions'}")
        if unfinished:
            self.notes.append("The table is not finished: predict --resume adds the rest.")
        self._columns = self._read_columns()

    @property
    def columns(self) -> list[str] | None:
        """The columns of CSV and Parquet; None for JSON, where each row has its own."""
        return self._columns

    def read(self, wanted: Callable[[str], bool]) -> Iterator[tuple[int, Cells]]:
        """Yield each row with its number, as in an editor (lines), or from 1 in JSON and Parquet.

        Args:
            wanted: whether a column is needed; others may be missing in the rows, or None.

        Raises:
            ManifestError: if a row cannot be read.
        """
        if self.kind == "parquet":
            names = [name for name in self._columns or () if wanted(name)]
            parts = (parquet_table.rows(part, names) for part in self._parts)
            return enumerate(itertools.chain.from_iterable(parts), start=1)
        return {"csv": self._csv, "json": self._json, "jsonl": self._jsonl}[self.kind]()

    def fault(self, number: int, what: str) -> ManifestError:
        """Return the error of a row."""
        return ManifestError(f"{self.path}, row {number}: {what}")

    def _read_columns(self) -> list[str] | None:
        if self.kind == "parquet":
            return parquet_table.columns(self._parts[0])
        if self.kind != "csv":
            return None
        with self._open() as file:
            return CsvRows(self._lines(file), str(self.path)).columns

    def _open(self) -> TextIO:
        with self.path.open("rb") as file:
            encoding = encoding_of(file.read(4))
        return self.path.open(encoding=encoding, newline="")

    def _pieces(self, read: Callable[[], str]) -> Iterator[str]:
        try:
            while piece := read():
                yield piece
        except UnicodeDecodeError:
            raise ManifestError(
                f"{self.path} is not UTF-8 text. Save the table again with the encoding UTF-8."
            ) from None

    def _lines(self, file: TextIO) -> Iterator[str]:
        for number, line in enumerate(self._pieces(lambda: file.readline(_LONGEST_ROW)), start=1):
            if len(line) == _LONGEST_ROW:
                raise self.fault(number, f"longer than {_LONGEST_ROW:,} characters. Is it a table of predictions?")
            yield line

    def _csv(self) -> Iterator[tuple[int, Cells]]:
        ends = True

        def lines(file: TextIO) -> Iterator[str]:
            nonlocal ends
            for line in self._lines(file):
                ends = line.endswith(("\n", "\r"))
                yield line

        with self._open() as file:
            rows = CsvRows(lines(file), str(self.path))
            try:
                for number, cells in rows:
                    if rows.n_cells < len(rows.columns) and not ends:
                        self.notes.append(_INCOMPLETE)
                        return
                    yield number, cells
            except ManifestError:
                if ends:
                    raise
                self.notes.append(_INCOMPLETE)  # a quote was opened in the incomplete line

    def _jsonl(self) -> Iterator[tuple[int, Cells]]:
        with self._open() as file:
            for number, line in enumerate(self._lines(file), start=1):
                if not line.strip():
                    continue
                try:
                    yield number, msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.DecodeError, RecursionError) as error:
                    if not line.endswith("\n"):
                        self.notes.append(_INCOMPLETE)
                        return
                    raise self.fault(number, f"not a JSON object: {error}. Give one object per line.") from None

    def _json(self) -> Iterator[tuple[int, Cells]]:
        with self._open() as file:
            found = _elements(self._pieces(lambda: file.read(_CHUNK)))
            for number, element in enumerate(_until_broken(found, self._not_an_array), start=1):
                if not isinstance(element, dict):
                    raise self.fault(number, f"{str(element)[:40]!r} is not a JSON object. Give an array of objects.")
                yield number, element

    def _not_an_array(self, reason: object) -> ManifestError:
        return ManifestError(f"{self.path} is not a JSON array of rows: {reason}. Write the table again.")


def _parts(folder: Path) -> list[Path]:
    """Return the Parquet files of such a folder, in order: those with a row for each recording."""
    return sorted(folder.glob("part-*.parquet")) or sorted(folder.glob("recordings/part-*.parquet"))


def _is_finished(folder: Path) -> bool:
    try:
        state = msgspec.json.decode((folder / _NOTE).read_bytes(), type=dict[str, Any])["state"]
    except (OSError, msgspec.DecodeError, KeyError):
        return False
    return bool(state == "finished")


_INCOMPLETE = "The last row is incomplete, and is left out."


def _until_broken(elements: Iterator[Any], error: Callable[[object], ManifestError]) -> Iterator[Any]:
    try:
        yield from elements
    except (ValueError, RecursionError) as reason:  # also JSONDecodeError
        raise error(reason) from None


def _elements(pieces: Iterator[str]) -> Iterator[Any]:
    r"""Yield the elements of a JSON array, of which only one at a time is held.

    Raises:
        ValueError: if the text is not an array, or an element is longer than any row.

    Examples:
        >>> list(_elements(iter(['[{"a"', ": 1},\n", " 2]"])))
        [{'a': 1}, 2]
    """
    decoder, text, at = json.JSONDecoder(), "", 0

    def more() -> bool:
        nonlocal text, at
        piece = next(pieces, "")
        text, at = text[at:] + piece, 0
        return bool(piece)

    def next_mark() -> str:
        nonlocal at
        while True:
            rest = text[at : at + 1]
            if rest.strip():
                return rest
            if rest:
                at += 1
            elif not more():
                return ""

    if next_mark() != "[":
        raise ValueError("it does not begin with [")
    at += 1
    if next_mark() == "]":
        return
    while True:
        next_mark()
        while True:
            try:
                element, end = decoder.raw_decode(text, at)
                break
            except json.JSONDecodeError as error:
                if len(text) - at > _LONGEST_ROW or not more():
                    raise ValueError(error.msg) from None
        at = end
        yield element
        mark = next_mark()
        at += 1
        if mark == "]":
            return
        if mark != ",":
            raise ValueError("it breaks off" if not mark else f"{mark!r} behind a row")
