"""Turn the rows of a corpus in another project's form into utterances: the names of its columns, and what they mean."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from emocatcher.audio import folder_search
from emocatcher.corpora import given_labels
from emocatcher.corpora.manifest import columns, dimension_columns
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import canonical, ordered

# Columns of the same meaning, in small letters; the first that is there counts.
_NAMES = {
    "emotion": ("emotion", "label", "major_emotion"),
    "speaker": ("speaker_id", "speaker"),
    "id": ("file_id", "id", "file"),
    "licence": ("license", "licence"),
    "gender": ("gender", "sex"),
    "age": ("age",),
    "race": ("race",),
    "ethnicity": ("ethnicity",),
    "intensity": ("intensity",),
    "statement": ("statement",),
    "repetition": ("repetition",),
    "split": ("split",),
    "dataset": ("dataset",),
}
_ALSO = ("votes", "start_s", "end_s")
_SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}
_SHOWN = 8
_LONGEST = 400  # characters of a name in a message


class Clip(NamedTuple):
    """One row of such a corpus, and its recording."""

    row: Row  # its cells by the column's name in small letters
    path: Path
    name: str  # the id, if no column has one
    split: str | None = None  # of its file or folder, if no column has one


def is_read(column: str) -> bool:
    """Return whether a column is used, by its name in any case."""
    name = column.lower()
    return name in _ALSO or any(name in names for names in _NAMES.values()) or dimension_columns.is_one(name)


def corpus(
    name: str,
    place: Path,
    clips: Sequence[Clip],
    *,
    licence: str = "unknown",
    notes: Iterable[str] = (),
    only_emotions: bool = False,
    to_check: bool = False,
) -> Corpus:
    """Return the corpus of such rows.

    Args:
        name: of the corpus.
        place: the folder or the file, for messages.
        clips: the rows, in order.
        licence: if no column has one.
        notes: what was left out before.
        only_emotions: leave out rows with other labels than the eight emotions, or without one.
        to_check: accept rows that all have no label.

    Returns:
        the corpus, in the order of the rows. Each label has one spelling (see `given_labels`). If a column `dataset`
        says that several corpora are in it, ids and speakers begin with its value.

    Raises:
        CorpusError: if there is no row, no column of emotions, or a cell cannot be used.
    """
    rows = [clip.row for clip in clips]
    names = check_columns(place, rows, to_check=to_check)
    chosen = {field: next((one for one in known if one in names), "") for field, known in _NAMES.items()}
    if not any(_text(row, chosen["split"]) for row in rows):
        chosen["split"] = ""
    utterances = [_utterance(clip, chosen) for clip in clips]
    if any(n > 1 for n in Counter(one.id for one in utterances).values()):  # names that are unique in a file only
        utterances = [msgspec.structs.replace(one, id=f"{one.id}#{n}") for n, one in enumerate(utterances)]
    if {one.split for one in utterances} == {"train"}:  # as a dataset without splits is stored
        utterances = [msgspec.structs.replace(one, split=None) for one in utterances]
    licences = dict.fromkeys(filter(None, (columns.text_of(row, chosen["licence"]) for row in rows)))
    licence = "; ".join(licences) or licence
    # A column of a table of one's own can be removed, and is refused if all its ratings are equal.
    utterances, dimensions, more = dimension_columns.rate(place, rows, names, utterances, allow_equal=True)
    if only_emotions:
        return _of_emotions(name, utterances, licence, list(notes))
    if not to_check and not any(one.emotion or one.votes for one in utterances):
        raise CorpusError(
            f"{place}: all labels are empty ({len(rows)} rows). Adapt a model to recordings without labels with: "
            "emocatcher adapt --unlabelled"
        )
    unused = [column for column in names if not is_read(column)]
    shown = ", ".join(unused[:_SHOWN]) + (" …" if len(unused) > _SHOWN else "")
    ignored = [f"{len(unused)} column{'s are' if len(unused) > 1 else ' is'} not used: {shown}"] if unused else []
    made = given_labels.corpus(name, utterances, [*notes, *ignored, *more], dimensions)
    return msgspec.structs.replace(made, licence=licence)


def check_columns(place: Path, rows: Sequence[Row], *, to_check: bool) -> list[str]:
    """Return the columns of the rows, of which one must have the emotions.

    Raises:
        CorpusError: if there is no row, or no such column.
    """
    names = list(dict.fromkeys(column for row in rows for column in row.cells))
    if not rows:
        raise CorpusError(f"{place} has no row with a recording. Get it again, or give another corpus")
    if not (to_check or {*_NAMES["emotion"], "votes"} & set(names)):
        raise CorpusError(
            f"{place} has no column of emotions. Its columns: {', '.join(names)}. Allowed: "
            f"{', '.join(_NAMES['emotion'])}"
        )
    return names


def inside(folder: Path, name: str, place: str, start: Path | None = None) -> Path:
    """Return the file that a corpus names, which must not lead outside the corpus's folder; it may not exist.

    Args:
        folder: of the corpus.
        name: as the corpus has it.
        place: where it has it, for messages.
        start: where relative names start; by default at the folder.

    Raises:
        CorpusError: if it leads outside.
    """
    found = folder_search.find_named(start or folder, name) if "\0" not in name else folder.parent
    if not Path(os.path.abspath(found)).is_relative_to(os.path.abspath(folder)) or found == folder:  # noqa: PTH100
        raise CorpusError(
            f"{place}: the name {name[:_LONGEST]!r} does not lead to a file in {folder}. Only files of the folder are "
            "read: correct the name"
        )
    return found


def check_recordings(place: Path, clips: Sequence[Clip]) -> None:
    """Check that the recordings exist.

    Raises:
        CorpusError: if one does not.
    """
    missing = [clip for clip in clips if not folder_search.is_file(clip.path)]
    if missing:
        name = str(missing[0].path)[:_LONGEST]
        more = f" {len(missing)} of {len(clips)} rows have none; list them with: emocatcher check {place} --all."
        raise CorpusError(
            f"{missing[0].row.place}: no such recording: {name}.{more if len(missing) > 1 else ''} "
            "Get the missing files again"
        )


def split_of(name: str) -> str | None:
    """Return the split that a file or folder is named after, as in `datasets`; None if there is none, or several.

    Examples:
        >>> split_of("validation-00000-of-00001"), split_of("dev"), split_of("latest"), split_of("train_test")
        ('valid', 'valid', None, None)
    """
    found = {_SPLIT_OF[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLIT_OF}
    return found.pop() if len(found) == 1 else None


def _utterance(clip: Clip, chosen: Mapping[str, str]) -> Utterance:
    texts = {field: _text(clip.row, column) if column else None for field, column in chosen.items()}
    start_s, end_s = columns.segment(clip.row)
    source = texts["dataset"]
    has_split = bool(chosen["split"]) and chosen["split"] in clip.row.cells
    return Utterance(
        id="/".join(filter(None, (source, texts["id"] or clip.name))),
        path=clip.path,
        emotion=texts["emotion"] or "",
        speaker=texts["speaker"] and ":".join(filter(None, (source, texts["speaker"]))),
        gender=_GENDERS.get((texts["gender"] or "").casefold()),
        age=_age(texts["age"]),
        race=texts["race"],
        ethnicity=texts["ethnicity"],
        intensity=texts["intensity"],
        statement=texts["statement"],
        repetition=texts["repetition"],
        start_s=start_s,
        end_s=end_s,
        # A cell counts before the name of the file, also if it is empty: not every row has a split then.
        split=split_of(texts["split"] or "") if has_split else clip.split,
        votes=columns.votes_of(clip.row),
    )


def _text(row: Row, column: str) -> str | None:
    value: Any = row.cells.get(column)
    if isinstance(value, float) and value.is_integer():  # pandas makes numbers with an empty cell between them floats
        return str(int(value))
    return columns.text_of(row, column)


def _age(text: str | None) -> int | None:
    try:
        years = float(text or "nan")
    except ValueError:
        return None
    return int(years) if math.isfinite(years) and 0 <= years < 150 else None


def _of_emotions(name: str, utterances: Sequence[Utterance], licence: str, notes: list[str]) -> Corpus:
    without = [one.id for one in utterances if not one.emotion]
    unknown = Counter(one.emotion for one in utterances if one.emotion and canonical(one.emotion) is None)
    kept = [one for one in utterances if one.emotion and one.emotion not in unknown]
    kept, _ = given_labels.join(kept)
    notes += folder_search.left_out(without, "row has no emotion", "rows have no emotion")
    notes += [f"{n:,} rows are left out (label '{label}')" for label, n in unknown.most_common()]
    labels = ordered(one.emotion for one in kept)
    return Corpus(name=name, utterances=tuple(kept), labels=labels, licence=licence, notes=tuple(notes))
