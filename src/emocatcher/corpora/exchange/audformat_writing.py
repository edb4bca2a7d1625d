"""Write a corpus, or any table of segments, as a database of audformat in the layout of audb."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from emocatcher.corpora.exchange import audformat_header, exported
from emocatcher.corpora.exchange.audformat_tables import Place
from emocatcher.corpora.exchange.exported import Column, Folds
from emocatcher.corpora.places import staged
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError, MissingExtraError

_SPLITS = {"train": "train", "valid": "dev", "test": "test"}
_TYPES = {str: "str", int: "int", float: "float"}
_MEDIA, _RATER = "audio", "labels"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One table of a database."""

    columns: Mapping[str, str]  # column → its scheme
    rows: Iterable[tuple[Place, Sequence[Any]]]  # the values in the order of the columns; None for none
    segmented: bool
    split: str | None = None


def write(corpus: Corpus, to: Path, folds: Folds) -> None:
    """Write a corpus with its recordings.

    Args:
        corpus: segments become a table of segments, and their recordings are copied once.
        to: the folder to create; missing, or empty.
        folds: columns to add, such as those of a protocol.

    Raises:
        CorpusError: if a recording cannot be read, or two utterances are the same segment of a recording.
        OSError: if the folder cannot be written.
        MissingExtraError: if PyYAML is not installed.
    """
    columns = exported.columns(corpus, folds)
    everyone = [*corpus.utterances, *corpus.unlabelled]
    names = exported.file_names(corpus)
    first: dict[Place, str] = {}
    for one in everyone:
        place = Place(names[one.path], one.start_s, one.end_s)
        if place in first:
            raise CorpusError(
                f"The utterances '{first[place]}' and '{one.id}' are the same part of {one.path}, which audformat does "
                "not allow. Remove one of them"
            )
        first[place] = one.id
    segmented = any(map(exported.is_segment, everyone))
    schemes = {"emotion": {"dtype": "str", "labels": list(corpus.labels)}, **_schemes(everyone, columns)}
    of = {"emotion": "emotion", **{column.name: column.name for column in columns}}

    def rows(utterances: Sequence[Utterance]) -> Iterable[tuple[Place, Sequence[Any]]]:
        for one in utterances:
            place = Place(names[one.path], one.start_s, one.end_s)
            yield place, [one.emotion or None, *(column.value(one) for column in columns)]

    tables = {
        f"emotion.{_SPLITS[split]}" if split else "emotion": Written(
            columns=of, rows=rows(utterances), segmented=segmented, split=_SPLITS.get(split)
        )
        for split, utterances in exported.parts(corpus, folds).items()
    }
    facts = {"name": corpus.name, "description": f"{corpus.name}, written by emocatcher", "license": corpus.licence}
    with staged(to) as staging:
        write_database(staging, facts, schemes, tables, _RATER, "human")
        for path, name in names.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, target)
            except OSError as error:
                raise CorpusError(f"{path} cannot be copied: {error.strerror}") from None


def write_database(
    folder: Path,
    facts: Mapping[str, Any],
    schemes: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Written],
    rater: str,
    kind: str,
) -> None:
    """Write header and tables of a database, without its media.

    Args:
        folder: where to write them.
        facts: name, description and licence.
        schemes: by name, as audformat writes them.
        tables: by name.
        rater: who gave the emotions.
        kind: of the rater, "human" or "machine".

    Raises:
        OSError: if a file cannot be written.
        MissingExtraError: if PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("Writing audformat", "exchange") from None
    splits = dict.fromkeys(table.split for table in tables.values() if table.split)
    header = {
        **facts,
        "source": "emocatcher",
        "usage": "other",
        "languages": [],
        "media": {_MEDIA: {"type": "audio"}},
        "raters": {rater: {"type": kind}},
        "schemes": {name: dict(scheme) for name, scheme in schemes.items()},
        **({"splits": {name: {"type": name} for name in splits}} if splits else {}),
        "tables": {name: _described(table, rater) for name, table in tables.items()},
    }
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    (folder / audformat_header.HEADER).write_text(text, encoding="utf-8")
    for name, table in tables.items():
        with (folder / f"db.{name}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["file", *(("start", "end") if table.segmented else ()), *table.columns])
            for place, values in table.rows:
                times = (_time(place.start_s or 0.0), _time(place.end_s)) if table.segmented else ()
                rows.writerow([place.file, *times, *("" if value is None else value for value in values)])


def _described(table: Written, rater: str) -> dict[str, Any]:
    columns = {name: {"scheme_id": scheme, "rater_id": rater} for name, scheme in table.columns.items()}
    kind = "segmented" if table.segmented else "filewise"
    return {"type": kind, **({"split_id": table.split} if table.split else {}), "media_id": _MEDIA, "columns": columns}


def _schemes(utterances: Sequence[Utterance], columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for column in columns:
        scheme: dict[str, Any] = {"dtype": _TYPES[column.kind]}
        if column.low is not None:
            scheme |= {"minimum": column.low, "maximum": column.high}
        if column.name == "speaker":
            scheme["labels"] = _speakers(utterances)
        found[column.name] = scheme
    return found


def _speakers(utterances: Sequence[Utterance]) -> dict[str, dict[str, Any]]:
    """Return the speakers, each with gender and age where they are known."""
    found: dict[str, dict[str, Any]] = {}
    for one in utterances:
        if one.speaker is not None:
            facts = found.setdefault(one.speaker, {})
            for field in ("gender", "age"):
                if (value := getattr(one, field)) is not None:
                    facts.setdefault(field, value)
    return dict(sorted(found.items()))


def _time(seconds: float | None) -> str:
    """Return a time as pandas reads it.

    Examples:
        >>> _time(3723.5), _time(None)
        ('0 days 01:02:03.500000000', '')
    """
    if seconds is None:
        return ""
    nanoseconds = round(seconds * 1e9)
    whole, rest = divmod(nanoseconds, 10**9)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days} days {hour:02d}:{minute:02d}:{second:02d}.{rest:09d}"
