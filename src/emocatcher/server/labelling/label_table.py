"""The CSV table of a listener's labels: read once, written whole after each label, by one server at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

from emocatcher.audio import folder_search
from emocatcher.corpora.manifest import columns, table_rows
from emocatcher.foundation import atomic_files, csv_cells
from emocatcher.foundation.errors import ManifestError, OutputError, SettingError
from emocatcher.server.labelling.clip_list import Clip, key_of

# What a decision fills, besides the label; the guess and its probability are the model's.
OWN = columns.OF_LABELLING
Row = dict[str, str]


class LabelTable:
    """The table of labels. Rows and columns that it had before are kept.

    Args:
        path: a CSV file, which need not exist; its folder is created.
        listener: whose labels these are; "" takes the name in the table, if all labels in it are of one listener.

    Raises:
        SettingError: if the name does not end in .csv.
        ManifestError: if the file is there, and is no table of recordings with at most one row for each.
        OutputError: if another server has it open, another listener's labels are in it, or it cannot be written.
    """

    def __init__(self, path: Path, listener: str = "") -> None:
        if path.suffix.lower() != ".csv":
            raise SettingError(f"{path} does not end in .csv. Labels are written as CSV: give a name like labels.csv")
        self._path = Path(os.path.realpath(path))  # a link stays a link
        self._lock: int | None = _locked(self._path)
        try:
            self.rows, self.columns = self._read(path)
            self._spelt = {one.lower(): one for one in table_rows.header(path)} if self._path.exists() else {}
            self.label = "emotion" if "emotion" in self.columns and "label" not in self.columns else "label"
            self.listener = self._check_listener(path, listener)
        except BaseException:
            self.close()
            raise
        self._written = self._state()

    def __enter__(self) -> LabelTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let another server open the table."""
        if self._lock is not None:
            _lock_path(self._path).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def row(self, clip: Clip) -> Row | None:
        """Return the row of a clip; None if it has none."""
        return self.rows.get(clip.key)

    def write(self, clip: Clip, label: str, **cells: str) -> None:
        """Set the label and other cells of a clip's row, and write the file.

        Raises:
            OutputError: if it cannot be written, or another program has changed it; then nothing changes.
        """
        before = self.rows.get(clip.key)
        # The speaker of a row that is there stays, and so does the path, however it is written.
        new = {"path": self._relative(clip.path), "speaker": clip.speaker or ""} if before is None else before
        after = self.rows | {clip.key: new | {self.label: label} | cells}
        wanted = ["path", self.label, *(["speaker"] if clip.speaker else []), *OWN]
        header = list(dict.fromkeys([*self.columns, *wanted]))
        if self._state() != self._written:
            raise OutputError(
                f"{self._path} was changed by another program, and is left as it is. Stop this server, and run the "
                "same command again to go on with the changed table"
            )
        spelt = [self._spelt.get(column, column) for column in header]
        text = csv_cells.write_rows([spelt, *([row.get(column, "") for column in header] for row in after.values())])
        try:
            atomic_files.write_text(self._path, text)
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror or error}. Nothing is lost") from error
        self.rows, self.columns, self._written = after, header, self._state()

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(key_of(path), self._path.parent)).as_posix()

    def _read(self, path: Path) -> tuple[dict[str, Row], list[str]]:
        if not self._path.exists():
            return {}, []
        rows: dict[str, Row] = {}
        header: dict[str, None] = {}
        for row in table_rows.read(path, lambda _: True):
            if "path" not in row.cells or "" in row.cells:
                what = "no column 'path'" if "path" not in row.cells else "a column without a name"
                raise ManifestError(f"{path} has {what}, and is left as it is. Give another --out")
            if columns.text_of(row, "start_s") or columns.text_of(row, "end_s"):
                raise ManifestError(
                    f"{row.place}: a part of a recording (start_s, end_s). Labels of whole recordings are written to a "
                    "table of their own: give another --out"
                )
            key = key_of(folder_search.find_named(self._path.parent, columns.needed_path(row)))
            if key in rows:
                raise ManifestError(
                    f"{row.place}: a second row of {row.cells['path']}. Keep one row for each recording, or give "
                    "another --out"
                )
            rows[key] = {column: str(cell) for column, cell in row.cells.items()}
            header |= dict.fromkeys(row.cells)
        return rows, list(header)

    def _check_listener(self, path: Path, listener: str) -> str:
        inside = sorted({row["listener"] for row in self.rows.values() if row.get("listener")})
        if listener and inside and inside != [listener]:
            raise OutputError(
                f"{path} has labels of {', '.join(inside)}. Give {listener} a table of their own, with another --out"
            )
        return listener or (inside[0] if len(inside) == 1 else "")

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _locked(path: Path) -> int:
    """Return the open file whose lock is held as long as the table is open, also if this process is killed."""
    lock = _lock_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise OutputError(
                    f"{path} is open in another `emocatcher label`. Stop that one, or give another --out"
                ) from None
            # The server that had it may have removed it in between, and a third may have made a new one.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), lock.stat()):
                    return file
            os.close(file)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}. Give another --out") from error
