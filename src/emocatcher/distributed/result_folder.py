"""The folder of results, at a path or a URI: shards that are whole or absent, and `_manifest.json` about the job."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from emocatcher.distributed.row_ranges import Rows, rows_of, shard_name
from emocatcher.distributed.row_work import FILES
from emocatcher.foundation import atomic_files, uris
from emocatcher.foundation.errors import OutputError, UriError
from emocatcher.foundation.parquet import import_pyarrow

NOTE = "_manifest.json"
LISTING = "_recordings.parquet"  # the listing, where recordings are given instead of a manifest
_FACTS = b"emocatcher"  # in the metadata of a shard
_FILE_NAME = re.compile(r"[\w-][\w.-]{0,200}")  # of an id
_MOST_BYTES = 1 << 30
_READERS = 16  # footers at a time


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of a shard says."""

    first_row: int  # in the manifest, from 0
    last_row: int
    first_id: str | None = None  # of these rows, if there are ids
    last_id: str | None = None
    rows: int
    failed: int = 0
    errors: dict[str, int] = {}  # failed recordings by `error_kind`


class ResultFolder:
    """A folder at a path or a URI.

    Args:
        name: of the folder.
        main: the sub-folder of the shards that say which rows are done; "" for none.
        suffix: of the files for single recordings.
    """

    def __init__(self, name: str, main: str = "", suffix: str = "") -> None:
        name = name.removesuffix("/") if len(name) > 1 else name  # messages add one
        self.name, self._main, self._suffix = uris.redacted(name), main, suffix
        self._path = None if uris.is_uri(name) and uris.scheme_of(name) != "file" else Path(name)
        if uris.is_uri(name):
            uris.check_writable(name)
            self._path = uris.local_path(name) if self._path is not None else None
        self._uri = name.rstrip("/")

    def done(self) -> list[Rows]:
        """Return the rows of all shards, in order; only their names are read."""
        if self._path is not None:
            folder = self._path / self._main
            names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        else:
            folder_uri = f"{self._uri}/{self._main}".rstrip("/")
            names = uris.names_in(folder_uri) if uris.kind_of(folder_uri) == "folder" else []
        return sorted(rows for rows in map(rows_of, names) if rows is not None)

    def facts(self, done: Iterable[Rows]) -> list[Facts]:
        """Read the metadata of shards.

        Raises:
            OutputError: if one is not a shard.
        """
        with ThreadPoolExecutor(_READERS) as readers:
            return list(readers.map(self._facts, done))

    def write(self, rows: Rows, tables: dict[str, Any], id_column: str | None) -> Facts:
        """Write the shards of some rows; the main one comes last, so that it stands for all of them.

        Args:
            rows: of the manifest.
            tables: an Arrow table for each sub-folder, with "" for the folder itself.
            id_column: as for `manifest_rows.Manifest`.

        Raises:
            OutputError: if one cannot be written; then it is absent.
        """
        found = facts(rows, tables[self._main], id_column)
        for place in sorted(tables, key=lambda one: one == self._main):
            if place == FILES:
                self._put_files(rows, tables, id_column)
                continue
            self.put("/".join(filter(None, (place, shard_name(rows)))), _encode(tables[place], found))
        return found

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            OutputError: if it cannot be read.
        """
        try:
            if self._path is not None:
                return (self._path / name).read_bytes()
            return uris.read_bytes(f"{self._uri}/{name}", _MOST_BYTES)
        except FileNotFoundError:
            return None
        except UriError as error:
            if error.kind == "missing":
                return None
            raise
        except OSError as error:
            raise OutputError(f"{self.name}/{name} cannot be read: {error.strerror}") from None

    def put(self, name: str, content: bytes) -> None:
        """Write a file: whole, or not at all.

        Raises:
            OutputError: if it cannot be written.
        """
        try:
            if self._path is not None:
                atomic_files.write_bytes(self._path / name, content)
                return
            with tempfile.NamedTemporaryFile() as file:
                file.write(content)
                file.flush()
                uris.write(f"{self._uri}/{name}", Path(file.name))
        except UriError as error:
            raise OutputError(f"{self.name}/{name} cannot be written: {error.reason}") from None
        except OSError as error:
            raise OutputError(f"{self.name}/{name} cannot be written: {error.strerror}") from None

    def _put_files(self, rows: Rows, tables: dict[str, Any], id_column: str | None) -> None:
        """Write a file for each recording, named by its id, or by its row where that cannot be a file's name."""
        ids = None if id_column is None else tables[self._main].column(id_column).to_pylist()
        for number, content in enumerate(tables[FILES].column("content").to_pylist()):
            name = f"{rows.first + number:010d}" if ids is None else str(ids[number])
            if not _FILE_NAME.fullmatch(name):
                name = f"{rows.first + number:010d}"
            if content is not None:
                self.put(f"{FILES}/{name}{self._suffix}", content)

    def full_name(self, name: str) -> str:
        """Return the path or URI of a file in it."""
        return str(self._path / name) if self._path is not None else f"{self._uri}/{name}"

    def clear(self) -> None:
        """Remove the results of an earlier job.

        Raises:
            OutputError: if the folder is at a URI, or a file cannot be removed.
        """
        if self._path is None:
            raise OutputError(f"{self.name} has results, and --overwrite removes nothing at a URI. Give another --out")
        try:
            for path in [*self._path.glob("part-*.parquet"), *self._path.glob("*/part-*.parquet")]:
                if rows_of(path.name):
                    path.unlink()
            for name in (NOTE, LISTING):
                (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{error.filename} cannot be removed: {error.strerror}") from None

    def _facts(self, rows: Rows) -> Facts:
        pa, parquet = import_pyarrow()
        name = "/".join(filter(None, (self._main, shard_name(rows))))
        try:
            if self._path is not None:
                metadata = parquet.read_metadata(self._path / name)
            else:
                with uris.RemoteFile(f"{self._uri}/{name}") as file:
                    metadata = parquet.read_metadata(file.open())
            return msgspec.json.decode(metadata.metadata[_FACTS], type=Facts)
        except (pa.ArrowException, OSError, KeyError, TypeError, msgspec.MsgspecError) as error:
            raise OutputError(
                f"{self.name}/{name} is not a result of emocatcher ({str(error).splitlines()[0]}). Remove it, then "
                "rerun with --resume"
            ) from None


def facts(rows: Rows, table: Any, id_column: str | None) -> Facts:
    """Return what the metadata of a shard says about its rows."""
    ids = None if id_column is None else table.column(id_column)
    kinds = Counter(kind for kind in table.column("error_kind").to_pylist() if kind is not None)
    return Facts(
        first_row=rows.first,
        last_row=rows.end - 1,
        first_id=None if ids is None else uris.redacted(str(ids[0].as_py())),
        last_id=None if ids is None else uris.redacted(str(ids[-1].as_py())),
        rows=len(rows),
        failed=kinds.total(),
        errors=dict(sorted(kinds.items())),
    )


def _encode(table: Any, found: Facts) -> bytes:
    pa, parquet = import_pyarrow()
    metadata = (table.schema.metadata or {}) | {_FACTS: msgspec.json.encode(found)}
    sink = pa.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return bytes(sink.getvalue())
