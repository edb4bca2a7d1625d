"""Read a database of audformat, in the layout of audb, as a corpus: emotions, speakers, splits and ratings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from emocatcher.corpora.exchange import audformat_header, audformat_tables, described
from emocatcher.corpora.exchange.audformat_header import Column, Header, Scheme
from emocatcher.corpora.exchange.audformat_tables import Place
from emocatcher.corpora.exchange.described import Clip
from emocatcher.corpora.manifest import columns, dimension_columns, table_rows
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.corpora.table import Corpus
from emocatcher.foundation import dimensions
from emocatcher.foundation.errors import CorpusError

_EMOTION, _SPEAKER, _GOLD = "emotion", "speaker", "gold"
_LONGEST_NAME = 100  # characters of a database's name
_OF_SPEAKER = ("gender", "sex", "age")  # of the labels of the scheme of speakers


def is_one(folder: Path) -> bool:
    """Return whether a folder has the header of a database."""
    return (folder / audformat_header.HEADER).is_file()


def database_of(table: Path) -> tuple[Path, str] | None:
    """Return the database and the name of the table that a file such as `db.emotion.csv` is; None if it is none."""
    is_table = table.name.startswith("db.") and table.suffix in (".csv", ".parquet") and is_one(table.parent)
    return (table.parent, table.name.removeprefix("db.").removesuffix(table.suffix)) if is_table else None


def read(folder: Path, only: str = "", *, to_check: bool = False) -> Corpus:
    """Read a database: the tables with the scheme or the column `emotion`, and what others have on their files.

    If a table is of the gold standard, by its name or its rater, others do not count for the emotion.

    Args:
        folder: with `db.yaml`, the tables, and the media.
        only: the one table to take the emotions from.
        to_check: accept recordings that do not exist.

    Raises:
        CorpusError: if the database has no emotions, two tables contradict each other, or something is missing.
        MissingExtraError: if PyYAML is missing, or pyarrow for Parquet.
    """
    header = audformat_header.read(folder)
    emotions = _tables_of_emotions(folder, header, only)
    cells: dict[Place, dict[str, Any]] = {}
    first: dict[Place, str] = {}
    for name, column in emotions.items():
        split = _split(header, name)
        of = _described(header, name)
        for place, row in audformat_tables.rows(audformat_tables.path_of(folder, name)):
            found = _values(of, row)
            found["emotion"] = found.pop(column.lower(), None)
            found |= {"split": split} if split else {}
            earlier = cells.setdefault(place, {})
            for field, value in found.items():
                if earlier.setdefault(field, value) != value and value is not None and earlier[field] is not None:
                    raise CorpusError(
                        f"{row.place}: {field} is '{value}', and '{earlier[field]}' in {first[place]}. Choose one "
                        f"table: give {audformat_tables.path_of(folder, name)} as the corpus"
                    )
                earlier[field] = value if earlier[field] is None else earlier[field]
            first.setdefault(place, row.place)
    _add_other_tables(folder, header, emotions, cells)
    _add_speakers(folder, header, cells)
    clips = [_clip(folder, place, found, first[place]) for place, found in cells.items()]
    if not to_check:
        described.check_recordings(folder, clips)
    title = header.name if _is_plain(header.name) else folder.resolve().name
    return described.corpus(title, folder, clips, licence=header.license or "unknown", to_check=to_check)


def _is_plain(name: str) -> bool:
    """Return whether a database's name may be the corpus's, which becomes part of file names, such as of a cache."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and name[0] != "." and not {*name} & {*"/\\:"}


def _tables_of_emotions(folder: Path, header: Header, only: str) -> dict[str, str]:
    """Return the tables with emotions, each with its column of emotions."""
    found = {
        name: column for name, table in header.tables.items() if (column := _column(header, table.columns, _EMOTION))
    }
    if only:
        if only not in found:
            has = f"Tables that have one: {', '.join(found)}" if found else "No table has one"
            raise CorpusError(f"The table {only} of {folder} has no column of the scheme or name {_EMOTION}. {has}")
        return {only: found[only]}
    if not found:
        tables = ", ".join(f"{name} ({', '.join(table.columns)})" for name, table in header.tables.items())
        raise CorpusError(f"{folder} has no table with the scheme or the column {_EMOTION}. Its tables: {tables}")
    gold = [name for name, column in found.items() if _is_gold(name, header.tables[name].columns[column])]
    return {name: found[name] for name in gold or found}


def _column(header: Header, of: Mapping[str, Column | None], wanted: str) -> str:
    """Return the column with this scheme, or with this name; "" if there is none. One of the gold standard is first."""
    found = [name for name, column in of.items() if wanted in (name.lower(), header.scheme(name, column)[0].lower())]
    named = sorted(found, key=lambda name: name.lower() != wanted)
    return next((name for name in named if _is_gold("", of[name])), next(iter(named), ""))


def _is_gold(table: str, column: Column | None) -> bool:
    return any(_GOLD in name.lower() for name in (table, (column and column.rater_id) or ""))


def _split(header: Header, table: str) -> str | None:
    name = header.tables[table].split_id
    if name is None:
        return None
    kind = header.splits[name]
    return described.split_of(kind.type if kind else "") or described.split_of(name)


class _Described(NamedTuple):
    """What the header has on a column."""

    scheme: str
    name: str  # of the column, as `described` reads it
    labels: dict[str, None] | None  # the values that are allowed; None for any


def _described(header: Header, table: str) -> dict[str, _Described]:
    given = header.tables[table].columns
    # Several columns may have one scheme, such as one for each rater: one of them counts.
    meaning = {_column(header, given, wanted): wanted for wanted in (_SPEAKER, *dimensions.NAMES)}
    found = {}
    for column, of in given.items():
        name, scheme = header.scheme(column, of)
        labels = dict.fromkeys(map(str, scheme.labels)) if isinstance(scheme.labels, (list, dict)) else None
        if (wanted := meaning.get(column)) is not None:
            known = wanted if wanted == _SPEAKER else _with_range(wanted, scheme)
        else:
            known = f"other {column.lower()}" if column.lower() in meaning.values() else column.lower()
        found[column.lower()] = _Described(name, known, labels)
    return found


def _values(of: Mapping[str, _Described], row: Row) -> dict[str, Any]:
    """Return the cells of a row, of ratings under a name with their range, and check them by their schemes."""
    found: dict[str, Any] = {}
    for column, value in row.cells.items():
        text = columns.text_of(row, column)
        facts = of.get(column.lower(), _Described("", column.lower(), None))
        if facts.labels is not None and text is not None and text not in facts.labels:
            raise CorpusError(
                f"{row.place}: {column} is '{text}', which is no label of the scheme {facts.scheme}. Allowed: "
                f"{', '.join(list(facts.labels)[:20])}"
            )
        found[facts.name] = value if text is not None else None
    return found


def _with_range(name: str, scheme: Scheme) -> str:
    if scheme.minimum is None or scheme.maximum is None:
        return name
    return dimension_columns.header(name, scheme.minimum, scheme.maximum)


def _add_other_tables(
    folder: Path, header: Header, emotions: Mapping[str, str], cells: Mapping[Place, dict[str, Any]]
) -> None:
    """Add what the other tables have on the same segments, or on their files: speaker, ratings and the like."""
    by_file: dict[str, list[Place]] = {}
    for place in cells:
        by_file.setdefault(place.file, []).append(place)
    # What is known of a segment counts before what is known of its whole file.
    for name, table in sorted(header.tables.items(), key=lambda one: one[1].type == "filewise"):
        wanted = [column for column in table.columns if column.lower() != _EMOTION and _is_of_use(header, name, column)]
        if name in emotions or not wanted:
            continue
        of = _described(header, name)
        for place, row in audformat_tables.rows(audformat_tables.path_of(folder, name)):
            about = [place] if place in cells else by_file.get(place.file, []) if table.type == "filewise" else []
            found = _values(of, row) if about else {}
            for segment in about:
                for column, value in found.items():
                    is_new = value is not None and cells[segment].get(column) is None
                    if is_new and described.is_read(column) and column != _EMOTION:
                        cells[segment][column] = value


def _is_of_use(header: Header, table: str, column: str) -> bool:
    return described.is_read(header.scheme(column, header.tables[table].columns[column])[0]) or described.is_read(
        column
    )


def _add_speakers(folder: Path, header: Header, cells: Mapping[Place, dict[str, Any]]) -> None:
    """Add the speakers' gender and age, which the scheme of speakers has as labels, or names a table of."""
    labels = (header.schemes.get(_SPEAKER) or Scheme()).labels
    if isinstance(labels, str):
        labels = dict(_misc_rows(folder, header, labels))
    if not isinstance(labels, dict):
        return
    of = {str(name): facts for name, facts in labels.items() if isinstance(facts, dict)}
    for found in cells.values():
        facts = of.get(str(found.get(_SPEAKER)), {})
        for name in _OF_SPEAKER:
            if isinstance(facts.get(name), (str, int, float)):
                found[name] = facts[name] if found.get(name) is None else found[name]


def _misc_rows(folder: Path, header: Header, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if name not in header.misc_tables:
        raise CorpusError(f"{folder}: the scheme {_SPEAKER} has the labels of the table {name}, which the header lacks")
    level = next(iter(header.misc_tables[name].levels), _SPEAKER)
    for row in table_rows.read(audformat_tables.path_of(folder, name), lambda _: True):
        if speaker := columns.text_of(row, level.lower() if level.lower() in row.cells else level):
            yield speaker, row.cells


def _clip(folder: Path, place: Place, found: dict[str, Any], where: str) -> Clip:
    row = Row(where, {**found, "start_s": place.start_s, "end_s": place.end_s})
    is_segment = place.start_s is not None or place.end_s is not None
    name = columns.segment_id(place.file, place.start_s, place.end_s) if is_segment else place.file
    return Clip(row, described.inside(folder, place.file, where), name)
