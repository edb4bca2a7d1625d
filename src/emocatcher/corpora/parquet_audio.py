"""Read Parquet files that contain the sound itself, as on the Hugging Face hub; unpack it into the cache once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emocatcher.audio import folder_search
from emocatcher.corpora import given_labels, parquet_table
from emocatcher.corpora.places import corpus_dir, staged
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import canonical, ordered
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
_ROWS_AT_ONCE = 8  # whose sound is in memory
# Sound hardly shrinks in Parquet. A file that expands further holds one recording very often, to fill the disk.
_MOST_EXPANSION, _SPARE_BYTES = 50, 1 << 27


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
        the corpus, in the files' order. Each label has one spelling (see `given_labels`). If a column `dataset`
        says that several corpora are in it, ids and speakers begin with its value.

    Raises:
        CorpusError: if a file has no column of emotions, or the sound cannot be unpacked.
        MissingExtraError: if pyarrow is not installed.
    """
    licences: dict[str, None] = {}
    rows = list(_rows(paths, licences))
    folder = _folder(paths)
    if not folder.is_dir():
        _unpack(paths, folder)
    files = {int(path.stem): path for path in folder.iterdir()}
    if any(n > 1 for n in Counter(row["id"] for row in rows).values()):  # names that are unique in a file only
        for number, row in enumerate(rows):
            row["id"] = f"{row['id']}#{number}"
    usable = [(row, files[number]) for number, row in enumerate(rows) if number in files]
    unknown = Counter(
        row["emotion"] for row, _ in usable if only_emotions and row["emotion"] and canonical(row["emotion"]) is None
    )
    labelled = [Utterance(path=path, **row) for row, path in usable if row["emotion"] and row["emotion"] not in unknown]
    unlabelled = [Utterance(path=path, **row) for row, path in usable if not row["emotion"] and not only_emotions]
    utterances, spelt = given_labels.join(labelled)
    silent = [str(row["id"]) for number, row in enumerate(rows) if number not in files]
    notes = folder_search.left_out(silent, "row has no sound", "rows have no sound")
    if only_emotions:
        without = [str(row["id"]) for row, _ in usable if not row["emotion"]]
        notes += folder_search.left_out(without, "row has no emotion", "rows have no emotion")
    notes += [f"{n:,} rows are left out (label '{label}')" for label, n in unknown.most_common()]
    notes += [] if only_emotions else [*spelt, *given_labels.without(len(unlabelled))]
    return Corpus(
        name=name,
        utterances=tuple(utterances),
        unlabelled=tuple(unlabelled),
        labels=ordered(utterance.emotion for utterance in utterances),
        licence="; ".join(licences) or licence,
        notes=tuple(notes),
    )


def _rows(paths: Sequence[Path], licences: dict[str, None]) -> Iterator[dict[str, Any]]:
    """Yield each row's fields of an utterance, without its sound, and collect the licences."""
    pa, parquet = import_pyarrow()
    number = 0
    for path in paths:
        try:
            columns = parquet.read_schema(path).names
        except (pa.ArrowException, OSError) as error:
            raise CorpusError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}. Get it again") from None
        chosen = {field: next((n for n in names if n in columns), "") for field, names in _NAMES.items()}
        if not chosen["emotion"]:
            raise CorpusError(
                f"{path} has no column of emotions. Its columns: {', '.join(columns)}. Allowed: "
                f"{', '.join(_NAMES['emotion'])}"
            )
        for cells in parquet_table.rows(path, [name for name in chosen.values() if name]):
            texts = {field: _text(cells.get(column)) for field, column in chosen.items()}
            if texts["licence"]:
                licences[texts["licence"]] = None
            yield _row(texts, number)
            number += 1


def _row(texts: dict[str, str | None], number: int) -> dict[str, Any]:
    source = texts["dataset"]
    gender = (texts["gender"] or "").casefold()
    return {
        "id": "/".join(filter(None, (source, texts["id"] or f"row {number}"))),
        "speaker": texts["speaker"] and ":".join(filter(None, (source, texts["speaker"]))),
        "emotion": texts["emotion"] or "",
        "gender": {"m": "male", "f": "female"}.get(gender, gender if gender in ("female", "male") else None),
        "split": texts["split"] if texts["split"] in ("train", "valid", "test") else None,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _folder(paths: Sequence[Path]) -> Path:
    # Size and time of change tell whether a file of the same name has other content.
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return corpus_dir(f"parquet-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}")


def _unpack(paths: Sequence[Path], folder: Path) -> None:
    """Write each row's sound as a file that is named by the row's number."""
    pa, parquet = import_pyarrow()
    number, left = 0, _MOST_EXPANSION * sum(path.stat().st_size for path in paths) + _SPARE_BYTES
    try:
        with staged(folder) as staging:
            for path in paths:
                with parquet.ParquetFile(path) as file:
                    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["audio"]):
                        for audio in batch.column(0).to_pylist():
                            if content := (audio or {}).get("bytes"):
                                if (left := left - len(content)) < 0:
                                    raise CorpusError(
                                        f"The sound of {path} is over {_MOST_EXPANSION} times as long as the file. "
                                        "Write it again without repeated recordings"
                                    )
                                suffix = Path(str(audio.get("path") or "")).suffix.lower()
                                known = suffix if suffix in folder_search.SUFFIXES else ""
                                (staging / f"{number:07d}{known}").write_bytes(content)
                            number += 1
    except pa.ArrowException as error:
        raise CorpusError(f"{paths[0]} is damaged: {str(error).splitlines()[0]}. Get it again") from None
    except OSError as error:
        if not folder.is_dir():  # otherwise another process has unpacked the same files meanwhile
            raise CorpusError(
                f"The sound of {paths[0]} cannot be unpacked into {folder}: {error}. "
                "Set EMOCATCHER_CACHE to a folder with enough free space."
            ) from error
