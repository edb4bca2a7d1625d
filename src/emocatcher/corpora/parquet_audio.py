"""Read Parquet files that contain the sound itself, as on the Hugging Face hub; unpack it into the cache once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emocatcher.audio import folder_search
from emocatcher.corpora.places import corpus_dir, staged
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import EMOTIONS, canonical
from emocatcher.foundation.parquet import import_pyarrow

# Columns of the same meaning, as the hub's corpora name them; the first that is there counts.
_NAMES = {
    "emotion": ("emotion", "label", "major_emotion"),
    "speaker": ("speaker_id", "speaker"),
    "id": ("file_id", "id", "file"),
    "licence": ("license", "licence"),
    "gender": ("gender",),
    "split": ("split",),
    "dataset": ("dataset",),
}
_MOST_ROWS = 5_000_000
_ROWS_AT_ONCE = 32  # whose sound is in memory


def has_audio(path: Path) -> bool:
    """Whether a Parquet file has a column `audio` with the files' bytes, and none with their paths.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    pa, parquet = import_pyarrow()
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError):
        return False
    if "path" in schema.names or "audio" not in schema.names:
        return False
    kind = schema.field("audio").type
    return bool(pa.types.is_struct(kind)) and kind.get_field_index("bytes") >= 0


def is_unpacked(paths: Sequence[Path]) -> bool:
    """Whether the sound of these files is in the cache."""
    return _folder(paths).is_dir()


def read(paths: Sequence[Path], name: str, *, licence: str = "unknown", only_emotions: bool = False) -> Corpus:
    """Read Parquet files with the columns `audio` (bytes and path), an emotion, and optionally others.

    Args:
        paths: the files of one corpus, in order.
        name: of the corpus.
        licence: if no column has one.
        only_emotions: leave out rows with other labels than the eight emotions.

    Returns:
        the corpus, in the files' order. Labels have their canonical names. If a column `dataset` says that several
        corpora are in it, ids and speakers begin with its value.

    Raises:
        CorpusError: if a file has no column of emotions, or the sound cannot be unpacked.
        MissingExtraError: if pyarrow is not installed.
    """
    rows = list(_rows(paths))
    folder = _folder(paths)
    if not folder.is_dir():
        _unpack(paths, folder, [row["suffix"] for row in rows])
    if any(n > 1 for n in Counter(row["id"] for row in rows).values()):  # names that are unique in a file only
        for number, row in enumerate(rows):
            row["id"] = f"{row['id']}#{number}"
    silent = [row["id"] for row in rows if row["suffix"] is None]
    usable = [(number, row) for number, row in enumerate(rows) if row["suffix"] is not None]
    unknown = Counter(row["emotion"] for _, row in usable if only_emotions and row["emotion"] not in EMOTIONS)
    utterances = [
        Utterance(
            id=row["id"],
            path=folder / _file_name(number, row["suffix"]),
            emotion=row["emotion"],
            speaker=row["speaker"],
            gender=row["gender"],
            split=row["split"],
        )
        for number, row in usable
        if row["emotion"] and row["emotion"] not in unknown
    ]
    present = {utterance.emotion for utterance in utterances}
    notes = folder_search.left_out(silent, "row has no sound", "rows have no sound")
    notes += folder_search.left_out(
        [row["id"] for _, row in usable if not row["emotion"]], "row has no emotion", "rows have no emotion"
    )
    notes += [f"{n:,} rows are left out (label '{label}')" for label, n in unknown.most_common()]
    licences = dict.fromkeys(row["licence"] for row in rows if row["licence"])
    return Corpus(
        name=name,
        utterances=tuple(utterances),
        labels=(*(e for e in EMOTIONS if e in present), *sorted(present.difference(EMOTIONS))),
        licence="; ".join(licences) or licence,
        notes=tuple(notes),
    )


def _rows(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield each row's fields without its sound; `suffix` is None if it has none."""
    pa, parquet = import_pyarrow()
    n_rows = 0
    for path in paths:
        try:
            n_rows += parquet.read_metadata(path).num_rows
            if n_rows > _MOST_ROWS:  # a small file can declare billions
                raise CorpusError(f"{path} and those before it have {n_rows:,} rows; allowed are {_MOST_ROWS:,}")
            columns = parquet.read_schema(path).names
            chosen = {field: next((n for n in names if n in columns), None) for field, names in _NAMES.items()}
            if chosen["emotion"] is None:
                raise CorpusError(
                    f"{path} has no column of emotions. Its columns: {', '.join(columns)}. Allowed: "
                    f"{', '.join(_NAMES['emotion'])}"
                )
            with parquet.ParquetFile(path) as file:  # a dataset's reader would take the struct apart
                table = file.read(columns=["audio.path", *filter(None, chosen.values())])
        except (pa.ArrowException, OSError) as error:
            raise CorpusError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}. Get it again") from None
        for cells in table.to_pylist():
            texts = {field: _text(cells.get(column)) for field, column in chosen.items() if column}
            yield _row({field: texts.get(field) for field in _NAMES}, cells.get("audio"))


def _row(texts: dict[str, str | None], audio: dict[str, Any] | None) -> dict[str, Any]:
    file_name = Path(str((audio or {}).get("path") or "").replace("\\", "/"))
    suffix = file_name.suffix.lower() if file_name.suffix.lower() in folder_search.SUFFIXES else ""
    source, label = texts["dataset"], texts["emotion"]
    gender = (texts["gender"] or "").casefold()
    return texts | {
        "id": "/".join(filter(None, (source, texts["id"] or file_name.stem or "row"))),
        "speaker": texts["speaker"] and ":".join(filter(None, (source, texts["speaker"]))),
        "emotion": label and (canonical(label) or label),
        "gender": {"m": "male", "f": "female"}.get(gender, gender if gender in ("female", "male") else None),
        "split": texts["split"] if texts["split"] in ("train", "valid", "test") else None,
        "suffix": None if audio is None else suffix,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _folder(paths: Sequence[Path]) -> Path:
    # Size and time of change tell whether a file of the same name has other content.
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return corpus_dir(f"parquet-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}")


def _file_name(number: int, suffix: str) -> str:
    return f"{number:07d}{suffix}"


def _unpack(paths: Sequence[Path], folder: Path, suffixes: Sequence[str | None]) -> None:
    _, parquet = import_pyarrow()
    try:
        with staged(folder) as staging:
            numbered = iter(enumerate(suffixes))
            for path in paths:
                with parquet.ParquetFile(path) as file:
                    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["audio.bytes"]):
                        for audio in batch.column(0).to_pylist():
                            number, suffix = next(numbered)
                            if suffix is not None:
                                (staging / _file_name(number, suffix)).write_bytes((audio or {}).get("bytes") or b"")
    except OSError as error:
        if not folder.is_dir():  # otherwise another process has unpacked the same files meanwhile
            raise CorpusError(
                f"The sound of {paths[0]} cannot be unpacked into {folder}: {error}. "
                "Set EMOCATCHER_CACHE to a folder with enough free space."
            ) from error
