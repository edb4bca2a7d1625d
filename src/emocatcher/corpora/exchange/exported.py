"""Choose what of a corpus is written in another project's form: columns, parts, and the names of the recordings."""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
import soundfile

from emocatcher import audio
from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import AudioError, CorpusError

Value: TypeAlias = str | int | float | None
Folds: TypeAlias = Mapping[str, Mapping[str, str | int | None]]  # column → id of an utterance → value

_FIELDS = ("speaker", "gender", "age", "race", "ethnicity", "intensity", "statement", "repetition", "corpus")


class Column(msgspec.Struct, frozen=True):
    """A column of an exported corpus."""

    name: str
    kind: type  # str, int or float
    value: Callable[[Utterance], Value]
    low: float | None = None  # of ratings
    high: float | None = None


def columns(corpus: Corpus, folds: Folds) -> list[Column]:
    """Return the columns beside the recording and its emotion; only those in which an utterance has a value.

    A split is a column only if it does not become `parts`.
    """
    everyone = (*corpus.utterances, *corpus.unlabelled)
    found = [
        Column("id", str, _getter("id")),
        *(Column(field, int if field == "age" else str, _getter(field)) for field in _FIELDS),
        Column("votes", str, _votes),
    ]
    found += [Column(one.name, float, _rating(one.name), one.low, one.high) for one in corpus.dimensions]
    others = {name: of for name, of in folds.items() if name != "split"}
    if "" in parts(corpus, folds):
        others["split"] = _splits(corpus, folds)
    for name, of in others.items():
        kind = int if any(isinstance(value, int) for value in of.values()) else str
        found.append(Column(name, kind, _fold(of)))
    return [column for column in found if any(column.value(one) is not None for one in everyone)]


def parts(corpus: Corpus, folds: Folds) -> dict[str, list[Utterance]]:
    """Return the utterances of each split; all under "" if not every labelled one has a split."""
    split = _splits(corpus, folds)
    everyone = [*corpus.utterances, *corpus.unlabelled]
    if not all(split.get(one.id) for one in corpus):
        return {"": everyone}
    found: dict[str, list[Utterance]] = defaultdict(list)
    for one in everyone:
        found[str(split.get(one.id) or "train")].append(one)
    return {name: found[name] for name in ("train", "valid", "test") if name in found}


def file_names(corpus: Corpus) -> dict[Path, str]:
    """Return a relative name for each recording: below the folder that all recordings of its corpus share.

    Raises:
        CorpusError: if a name is not text that others can read, or leads elsewhere because of the corpus's name.
    """
    of_corpus: dict[str, dict[Path, None]] = defaultdict(dict)
    for one in (*corpus.utterances, *corpus.unlabelled):
        of_corpus[one.corpus or ""][one.path] = None
    names: dict[Path, str] = {}
    for name, paths in of_corpus.items():
        absolute = {path: Path(os.path.abspath(path)) for path in paths}  # noqa: PTH100 (links stay as they are)
        parents = [str(path.parent) for path in absolute.values()]
        shared = Path(os.path.commonpath(parents)) if len({path.anchor for path in absolute.values()}) == 1 else None
        for path, whole in absolute.items():
            relative = whole.relative_to(shared) if shared else whole.relative_to(whole.anchor)
            names[path] = (Path(name) / relative).as_posix()
    if odd := [name for name in names.values() if not name.isprintable()]:
        raise CorpusError(f"The file name {odd[0]!r} has characters that other programs cannot read. Rename the file")
    if outside := [name for name in names.values() if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise CorpusError(f"{outside[0]!r} would be written outside the folder. Rename the corpus that it begins with")
    return names


def is_segment(one: Utterance) -> bool:
    """Return whether an utterance is a part of its recording."""
    return one.start_s is not None or one.end_s is not None


def sound(one: Utterance) -> tuple[bytes, str]:
    """Return the encoded sound of an utterance, and its suffix: the file as it is, or a segment cut out as WAV.

    Raises:
        CorpusError: if it cannot be read.
    """
    try:
        if not is_segment(one):
            return one.path.read_bytes(), one.path.suffix
        cut = audio.read(one.path, start_s=one.start_s, end_s=one.end_s)
    except (OSError, AudioError) as error:
        raise CorpusError(f"{one.path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    buffer = io.BytesIO()
    soundfile.write(buffer, cut.waveform, cut.sample_rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue(), ".wav"


def size(one: Utterance) -> int:
    """Return the size of an utterance's recording, bytes.

    Raises:
        CorpusError: if it cannot be read.
    """
    try:
        return one.path.stat().st_size
    except OSError as error:
        raise CorpusError(f"{one.path} cannot be read: {error.strerror}") from None


def clip_names(utterances: Sequence[Utterance], names: Mapping[Path, str]) -> dict[str, str]:
    """Return a file name for each utterance by its id, of which no two are the same on any file system."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for one in utterances:
        whole = Path(names[one.path])
        end = "end" if one.end_s is None else f"{one.end_s:g}"
        name = whole.with_name(f"{whole.stem}-{one.start_s or 0:g}-{end}.wav") if is_segment(one) else whole
        number = 2
        while name.as_posix().casefold() in taken:
            name = whole.with_name(f"{whole.stem}-{number}{name.suffix}")
            number += 1
        taken.add(name.as_posix().casefold())
        found[one.id] = name.as_posix()
    return found


def _getter(field: str) -> Callable[[Utterance], Value]:
    return lambda one: getattr(one, field)


def _rating(name: str) -> Callable[[Utterance], Value]:
    return lambda one: dict(one.dimensions).get(name)


def _fold(of: Mapping[str, str | int | None]) -> Callable[[Utterance], Value]:
    return lambda one: of.get(one.id)


def _votes(one: Utterance) -> str | None:
    return None if one.votes is None else votes.written(one.votes)


def _splits(corpus: Corpus, folds: Folds) -> Mapping[str, str | int | None]:
    everyone = (*corpus.utterances, *corpus.unlabelled)
    return folds["split"] if "split" in folds else {one.id: one.split for one in everyone}
