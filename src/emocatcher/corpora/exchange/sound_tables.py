"""Read Parquet and Arrow files that contain the sound itself, as Hugging Face `datasets` writes them."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emocatcher.audio import folder_search
from emocatcher.corpora import parquet_table
from emocatcher.corpora.exchange import arrow_file, described
from emocatcher.corpora.exchange.described import Clip
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.corpora.places import corpus_dir, staged
from emocatcher.corpora.table import Corpus
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.parquet import import_pyarrow

ARROW = ".arrow"
_AUDIO = "audio"  # the column with the sound
_ROWS_AT_ONCE = 8  # whose sound is in memory
_MOST_ROWS, _LONGEST_TEXT = 5_000_000, 1 << 16
# Sound hardly shrinks in Parquet. A file that expands further holds one recording very often, to fill the disk.
_MOST_EXPANSION, _SPARE_BYTES = 50, 1 << 27


class SoundTable(NamedTuple):
    """One file, and the split that its name or its folder has."""

    path: Path
    split: str | None = None


def has_audio(path: Path) -> bool:
    """Whether a file has a column `audio` with the files' bytes; a table with paths may have one without any.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    try:
        schema = _schema(path)
        if _AUDIO not in schema.names or not _has_bytes(schema):
            return False
        if "path" not in schema.names:
            return True
        with contextlib.closing(_sounds(path, with_bytes=True)) as sounds:
            return any(isinstance(one, dict) and one.get("bytes") for one in itertools.islice(sounds, _ROWS_AT_ONCE))
    except CorpusError:
        return False


def is_unpacked(tables: Sequence[SoundTable]) -> bool:
    """Whether the sound of these files is in the cache."""
    return _folder(tables).is_dir()


def read(
    tables: Sequence[SoundTable],
    name: str,
    root: Path,
    *,
    licence: str = "unknown",
    only_emotions: bool = False,
    to_check: bool = False,
) -> Corpus:
    """Read files with the columns `audio` (bytes and path), an emotion, and optionally others.

    The sound is unpacked into the cache once. A row whose sound is not in the table, but in a file of the corpus's
    folder, is read from there.

    Args:
        tables: the files of one corpus, in order.
        name: of the corpus.
        root: the corpus's folder, or its only file.
        licence: if no column has one.
        only_emotions: leave out rows with other labels than the eight emotions.
        to_check: as for `corpora.load`.

    Returns:
        the corpus (see `described.corpus`), in the files' order.

    Raises:
        CorpusError: if a file has no column of emotions, or the sound cannot be unpacked.
        MissingExtraError: if pyarrow is not installed.
    """
    folder = _folder(tables)
    rows = [(row, table.split) for table in tables for row in _rows(table.path)]
    described.check_columns(root, [row for row, _ in rows], to_check=to_check)  # before hours of sound are unpacked
    if not folder.is_dir():
        _unpack(tables, folder)
    # Others, such as .DS_Store, may have been put there by the system.
    files = {int(path.stem): path for path in folder.iterdir() if path.stem.isdecimal()}
    places = _places(tables, root if root.is_dir() else root.parent, files)
    clips, silent = [], []
    for number, ((row, split), path) in enumerate(zip(rows, places, strict=True)):
        clip = Clip(row, path or Path(), f"row {number}", split)
        clips.append(clip) if path else silent.append(clip)
    without = [str(clip.row.cells.get("file_id") or clip.row.cells.get("id") or clip.name) for clip in silent]
    notes = folder_search.left_out(without, "row has no sound", "rows have no sound")
    return described.corpus(
        name, root, clips, licence=licence, notes=notes, only_emotions=only_emotions, to_check=to_check
    )


def _schema(path: Path) -> Any:
    pa, parquet = import_pyarrow()
    if path.suffix.lower() == ARROW:
        return arrow_file.schema(path)
    try:
        return parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}. Get it again") from None


def _has_bytes(schema: Any) -> bool:
    pa, _ = import_pyarrow()
    kind = schema.field(_AUDIO).type
    return bool(pa.types.is_struct(kind)) and kind.get_field_index("bytes") >= 0


def _rows(path: Path) -> Iterator[Row]:
    """Yield each row's cells without its sound; the numbers of classes are replaced by their names."""
    schema = _schema(path)
    if _AUDIO not in schema.names:
        raise CorpusError(f"{path} has no column '{_AUDIO}' with the sound. Its columns: {', '.join(schema.names)}")
    classes = _classes(path, schema)
    wanted = [name for name in schema.names if described.is_read(name)]
    found = _arrow_rows(path, wanted) if path.suffix.lower() == ARROW else parquet_table.rows(path, wanted)
    for number, cells in enumerate(found, start=1):
        cells.pop(_AUDIO, None)
        row = Row(f"{path}, row {number}", {column.lower(): value for column, value in cells.items()})
        for column, names in classes.items():
            row.cells[column] = _class_name(row, column, names)
        yield row


def _arrow_rows(path: Path, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    pa, _ = import_pyarrow()
    n_rows = 0
    for batch in arrow_file.batches(path):
        if nested := [name for name in wanted if pa.types.is_nested(batch.schema.field(name).type)]:
            raise CorpusError(f"{path}: {nested[0]} holds lists or the like. Give text or a number")
        if (n_rows := n_rows + batch.num_rows) > _MOST_ROWS:
            raise CorpusError(f"{path} has over {_MOST_ROWS:,} rows. Split the table")
        others = dict.fromkeys(name for name in batch.schema.names if name not in wanted)
        for cells in batch.select(list(wanted)).to_pylist():
            if long := [name for name, value in cells.items() if isinstance(value, str) and len(value) > _LONGEST_TEXT]:
                raise CorpusError(f"{path}: a text of {long[0]} is over {_LONGEST_TEXT:,} characters long. Shorten it")
            yield {**cells, **others}


def _classes(path: Path, schema: Any) -> dict[str, list[str]]:
    """Return the names of the classes of each column that has numbers for them (`ClassLabel`)."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"huggingface") or b"{}")
        features = stored.get("info", {}).get("features", {})
        found = {
            column.lower(): feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and column in schema.names
        }
    except (ValueError, KeyError, AttributeError, RecursionError):
        return {}
    for column, names in found.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CorpusError(f"{path}: the classes of {column} are no list of names. Save the dataset again")
    return {column: names for column, names in found.items() if described.is_read(column)}


def _class_name(row: Row, column: str, names: Sequence[str]) -> str | None:
    number = row.cells.get(column)
    if number is None or number == -1:  # as `datasets` writes a label that is not known
        return None
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise CorpusError(
            f"{row.place}: {column} is {number!r}, and there are {len(names)} classes ({', '.join(names[:12])}). Save "
            "the dataset again"
        )
    return names[number]


def _places(tables: Sequence[SoundTable], root: Path, unpacked: Mapping[int, Path]) -> Iterator[Path | None]:
    """Yield each row's recording: unpacked, or a file of the folder; None if it has neither."""
    numbers = itertools.count()
    for table in tables:
        for cells in _sounds(table.path, with_bytes=False):
            number, name = next(numbers), _path_of(cells)
            if number in unpacked or not name:
                yield unpacked.get(number)
            elif folder_search.is_file(found := described.inside(root, name, f"{table.path}, row {number + 1}")):
                yield found
            else:
                yield None


def _path_of(audio: object) -> str:
    path = audio.get("path") if isinstance(audio, dict) else audio
    return path if isinstance(path, str) else ""


def _sounds(path: Path, *, with_bytes: bool) -> Generator[Any, None, None]:
    """Yield the cells of the column `audio`: an object with bytes and path, or a path."""
    pa, parquet = import_pyarrow()
    in_objects = _has_bytes(_schema(path))
    if path.suffix.lower() == ARROW:
        for batch in arrow_file.batches(path):
            column = batch.column(_AUDIO)
            if in_objects and not with_bytes:
                column = column.field("path") if column.type.get_field_index("path") >= 0 else [None] * len(column)
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                part = column[start : start + _ROWS_AT_ONCE]
                yield from part if isinstance(part, list) else part.to_pylist()
        return
    names = [f"{_AUDIO}.path" if in_objects and not with_bytes else _AUDIO]
    try:
        with parquet.ParquetFile(path) as file:
            if with_bytes:
                _refuse_expansion(path, file.metadata)
            for batch in file.iter_batches(_ROWS_AT_ONCE if with_bytes else 1 << 12, columns=names):
                yield from batch.column(0).to_pylist() if batch.num_columns else [None] * batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{path} is damaged: {str(error).partition(chr(10))[0]}. Get it again") from None


def _refuse_expansion(path: Path, metadata: Any) -> None:
    """Refuse a small file whose sound would fill the memory: a few rows are decoded at a time, however long."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    n_bytes = sum(chunk.total_uncompressed_size for chunk in chunks)
    if n_bytes > _MOST_EXPANSION * path.stat().st_size + _SPARE_BYTES:
        raise CorpusError(
            f"{path} expands to {n_bytes:,} bytes, over {_MOST_EXPANSION} times its size. Write it again without "
            "repeated recordings"
        )


def _folder(tables: Sequence[SoundTable]) -> Path:
    # Size and time of change tell whether a file of the same name has other content.
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path, _ in tables]
    return corpus_dir(f"parquet-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}")


def _unpack(tables: Sequence[SoundTable], folder: Path) -> None:
    """Write each row's sound as a file that is named by the row's number."""
    number, left = 0, _MOST_EXPANSION * sum(path.stat().st_size for path, _ in tables) + _SPARE_BYTES
    try:
        with staged(folder) as staging:
            for path, _ in tables:
                for audio in _sounds(path, with_bytes=True):
                    content = audio.get("bytes") if isinstance(audio, dict) else None
                    if isinstance(content, bytes) and content:
                        if (left := left - len(content)) < 0:
                            raise CorpusError(
                                f"The sound of {path} is over {_MOST_EXPANSION} times as long as the file. Write it "
                                "again without repeated recordings"
                            )
                        suffix = Path(_path_of(audio)).suffix.lower()
                        known = suffix if suffix in folder_search.SUFFIXES else ""
                        (staging / f"{number:07d}{known}").write_bytes(content)
                    number += 1
    except OSError as error:
        if not folder.is_dir():  # otherwise another process has unpacked the same files meanwhile
            raise CorpusError(
                f"The sound of {tables[0].path} cannot be unpacked into {folder}: {error}. "
                "Set EMOCATCHER_CACHE to a folder with enough free space."
            ) from error
