"""Read a folder of recordings as `datasets` does: with `metadata.csv`, or with a folder for each split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora import parquet_table
from emocatcher.corpora.exchange import described
from emocatcher.corpora.exchange.described import Clip
from emocatcher.corpora.manifest import table_rows
from emocatcher.corpora.manifest.columns import text_of
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.corpora.table import Corpus
from emocatcher.foundation.errors import CorpusError, ManifestError

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_LONGEST_HEADER = 1 << 16  # bytes
_FILE = ("file_name", "audio_file_name")  # the columns that name the recording


def has_metadata(folder: Path) -> bool:
    """Return whether a folder, or a folder in it, has a table of metadata that names recordings."""
    return any(map(_names_files, _metadata(folder)))


def has_splits(folder: Path) -> bool:
    """Return whether a folder has a folder for each split, with a folder for each label in it."""
    tops = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if not tops or not all(described.split_of(entry.name) for entry in tops):
        return False
    paths = [Path(path).relative_to(folder) for path in folder_search.search(folder).recordings]
    return bool(paths) and all(len(path.parts) > 2 for path in paths)


def read(folder: Path, *, to_check: bool = False) -> Corpus:
    """Read a folder with a table of metadata, or one in each folder of a split.

    Raises:
        CorpusError: if a row names what is not in the folder, or the table cannot be used.
        MissingExtraError: if a table is Parquet and pyarrow is not installed.
    """
    clips = [clip for path in filter(_names_files, _metadata(folder)) for clip in _clips(folder, path)]
    if not to_check:
        described.check_recordings(folder, clips)
    _refuse_several_tables(clips)
    named = {os.path.relpath(clip.path, folder) for clip in clips}
    found = folder_search.search(folder)
    loose = [path for path in found.recordings if os.path.relpath(path, folder) not in named]
    notes = folder_search.left_out(loose, "recording is in no table", "recordings are in no table")
    return described.corpus(folder.resolve().name, folder, clips, notes=notes, to_check=to_check)


def read_splits(folder: Path) -> Corpus:
    """Read a folder with a folder for each split, and a folder for each label in it."""
    found = folder_search.search(folder)
    clips = []
    for path in map(Path, found.recordings):
        split, label, *_ = path.relative_to(folder).parts
        row = Row(str(path), {"label": label})
        clips.append(Clip(row, path, path.relative_to(folder).as_posix(), described.split_of(split)))
    return described.corpus(folder.resolve().name, folder, clips, notes=folder_search.notes(found))


def _refuse_several_tables(clips: Sequence[Clip]) -> None:
    """Refuse a recording that two tables name: it would count twice, and be in two parts of a fold."""
    first: dict[str, Clip] = {}
    for clip in clips:
        earlier = first.setdefault(os.path.normpath(clip.path), clip)
        table, other = (one.row.place.rpartition(", row ")[0] for one in (clip, earlier))
        if table != other:
            raise CorpusError(
                f"{clip.row.place}: {clip.name} is also named in {earlier.row.place}. Remove one of the tables"
            )


def _metadata(folder: Path) -> list[Path]:
    found = (path for depth in ("", "*/", "*/*/") for name in _METADATA for path in folder.glob(depth + name))
    return sorted(path for path in found if path.is_file())


def _names_files(path: Path) -> bool:
    try:
        if path.suffix == ".csv":
            names = table_rows.header(path)
        elif path.suffix == ".parquet":
            names = parquet_table.columns(path)
        else:
            first = next(table_rows.read(path, bool), None)
            names = list(first.cells) if first else []
    except ManifestError:  # such as text in an old encoding: the error is raised where the table is read
        with path.open("rb") as file:  # both names contain the first one
            return _FILE[0].encode() in file.readline(_LONGEST_HEADER).lower()
    return any(name.lower() in _FILE for name in names)


def _clips(root: Path, table: Path) -> Iterator[Clip]:
    for row in table_rows.read(table, lambda column: column.lower() in _FILE or described.is_read(column)):
        cells = {column.lower(): value for column, value in row.cells.items()}
        row = Row(row.place, cells)
        name = next(filter(None, (text_of(row, column) for column in _FILE)), None)
        if name is None:
            raise CorpusError(f"{row.place}: {_FILE[0]} is empty. Give the recording's path, from the table's folder")
        path = described.inside(root, name, row.place, table.parent)
        place = Path(os.path.relpath(path, root))  # a name may be absolute, or have .. in it
        split = next(filter(None, map(described.split_of, place.parts[:-1])), None)
        for column in _FILE:
            cells.pop(column, None)
        yield Clip(row, path, place.as_posix(), split)
