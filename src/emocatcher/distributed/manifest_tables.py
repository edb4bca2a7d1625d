"""One table of a manifest, read in parts: Parquet without what is skipped, CSV and JSONL from their beginning."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from emocatcher.audio import folder_search
from emocatcher.distributed.row_ranges import Rows
from emocatcher.foundation import text_tables, uris
from emocatcher.foundation.errors import ManifestError
from emocatcher.foundation.parquet import import_pyarrow

FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")
_AT_ONCE = 8192  # rows
Wanted = Callable[[Rows], bool]


def is_table(name: str) -> bool:
    """Whether a name is that of a table, by its suffix."""
    return Path(name).suffix.lower() in FORMATS


def open_tables(name: str) -> list[Table]:
    """Open a table, or all Parquet tables of a folder and its sub-folders, in the order of their names.

    Raises:
        ManifestError: if there is no such table, or it cannot be read.
        UriError: if it lies at a URI that cannot be read.
    """
    if is_table(name) and not _is_folder(name):
        return [_Parquet(name) if name.lower().endswith(".parquet") else _Text(name)]
    if not _is_folder(name):
        raise ManifestError(
            f"{uris.redacted(name)}: no such table or folder. Give a manifest as {', '.join(FORMATS)}, or a folder of "
            "Parquet files"
        )
    found = _names_in(name)
    if not found:
        raise ManifestError(
            f"{uris.redacted(name)} has no Parquet file. Leave out --column and --id if it is a folder of recordings"
        )
    return [_Parquet(f"{name.rstrip('/')}/{one}") for one in found]


def _is_folder(name: str) -> bool:
    return uris.kind_of(name) == "folder" if uris.is_uri(name) else Path(name).is_dir()


def _names_in(folder: str) -> list[str]:
    if uris.is_uri(folder) and uris.scheme_of(folder) != "file":
        names = uris.names_in(folder)
    else:
        start = uris.local_path(folder) if uris.is_uri(folder) else Path(folder)
        names = sorted(path.relative_to(start).as_posix() for path in start.rglob("*.parquet"))
    parts = (name.split("/") for name in names if name.lower().endswith(".parquet"))
    return ["/".join(part) for part in parts if not any(one.startswith(("_", ".")) for one in part)]


class Table(ABC):
    """A table at a path or a URI.

    Attributes:
        name: for messages.
        columns: their names.
        n_rows: how many rows were read so far, or all of them where the file says so.
    """

    def __init__(self, name: str) -> None:
        self._where, self.name = name, uris.redacted(name)
        self.columns: list[str] = []
        self.n_rows = 0

    def beside(self, recording: str) -> str:
        """Return the full name of a recording that a row names."""
        if uris.is_uri(recording):
            return recording
        if uris.is_uri(self._where):
            return uris.beside(self._where, recording)
        if os.path.isabs(recording):  # noqa: PTH117
            return recording
        return str(folder_search.find_named(Path(self._where).absolute().parent, recording))

    @abstractmethod
    def batches(self, columns: Sequence[str], n_before: int, is_wanted: Wanted) -> Iterator[tuple[int, Any]]:
        """Yield Arrow record batches of these columns, each with the number of its first row in this table.

        Args:
            columns: their names.
            n_before: rows of the manifest before this table.
            is_wanted: whether some rows of the manifest are needed; others may be left out.

        Raises:
            ManifestError: if a row cannot be read.
        """

    def _open(self) -> BinaryIO:
        try:
            if not uris.is_uri(self._where):
                return Path(self._where).open("rb")
            if uris.scheme_of(self._where) == "file":
                return uris.local_path(self._where).open("rb")
        except OSError as error:
            raise ManifestError(f"{self.name} cannot be read: {error.strerror}") from None
        return uris.RemoteFile(self._where).open()


class _Parquet(Table):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        with self._parquet() as file:
            self.columns, self.n_rows = list(file.schema_arrow.names), file.metadata.num_rows

    def batches(self, columns: Sequence[str], n_before: int, is_wanted: Wanted) -> Iterator[tuple[int, Any]]:
        with self._parquet() as file:
            at = 0
            for number in range(file.num_row_groups):
                end = at + file.metadata.row_group(number).num_rows
                if is_wanted(Rows(n_before + at, n_before + end)):
                    for batch in file.iter_batches(_AT_ONCE, row_groups=[number], columns=list(columns)):
                        yield at, batch.select(list(columns))
                        at += batch.num_rows
                at = end

    @contextlib.contextmanager
    def _parquet(self) -> Iterator[Any]:
        pa, parquet = import_pyarrow()
        with self._open() as opened:
            try:
                with parquet.ParquetFile(opened) as file:
                    yield file
            except (pa.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0].rstrip(".")
                raise ManifestError(f"{self.name} cannot be read as Parquet: {reason}. Write the table again") from None


class _Text(Table):
    """CSV, TSV or JSONL, of which all rows are read, because only reading them shows where each begins."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._is_json = name.lower().endswith(".jsonl")
        with contextlib.closing(self._rows()) as rows:
            first = next(rows, {})
        self.columns = self.columns or list(first)

    def batches(self, columns: Sequence[str], n_before: int, is_wanted: Wanted) -> Iterator[tuple[int, Any]]:
        pa, _ = import_pyarrow()
        at, schema = 0, None
        with contextlib.closing(self._rows()) as rows:
            while chunk := list(itertools.islice(rows, _AT_ONCE)):
                if is_wanted(Rows(n_before + at, n_before + at + len(chunk))):
                    cells = {name: [row.get(name) for row in chunk] for name in columns}
                    try:
                        # A column without a value so far would have no type.
                        batch = pa.RecordBatch.from_pydict(cells, schema)
                    except (pa.ArrowException, TypeError) as error:
                        raise ManifestError(f"{self.name}, rows {at + 1:,} and on: {error}") from None
                    schema = pa.schema([_typed(field) for field in batch.schema])
                    yield at, batch.cast(schema)
                at += len(chunk)
        self.n_rows = at

    def _rows(self) -> Generator[dict[str, Any]]:
        with self._open() as opened:
            encoding = text_tables.encoding_of(opened.read(4))
            opened.seek(0)
            lines = io.TextIOWrapper(opened, encoding=encoding, newline="")
            try:
                if self._is_json:
                    yield from self._json_rows(lines)
                else:
                    table = text_tables.CsvRows(lines, self.name)
                    self.columns = table.columns
                    for _, cells in table:
                        yield cells
            except UnicodeDecodeError:
                raise ManifestError(
                    f"{self.name} is not UTF-8 text. Save the table again with the encoding UTF-8"
                ) from None

    def _json_rows(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.DecodeError, RecursionError) as error:
                    raise ManifestError(
                        f"{self.name}, row {number:,}: not a JSON object: {error}. Give one object per line"
                    ) from None


def _typed(field: Any) -> Any:
    """Return a column without a value so far as one of text."""
    pa, _ = import_pyarrow()
    return pa.field(field.name, pa.string()) if pa.types.is_null(field.type) else field
