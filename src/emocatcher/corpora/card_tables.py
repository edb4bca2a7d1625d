"""Read the tables beside a corpus's recordings as rows, each under its key."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from emocatcher.audio import folder_search
from emocatcher.corpora.cards import CardTable
from emocatcher.foundation.errors import CorpusError

NO_MAJORITY = "no majority"
Row = dict[str, str]


def fill(template: str, data: Mapping[str, str]) -> str | None:
    """Fill a template's "{name}"s; None if one of them has no value.

    Examples:
        >>> fill("{session}{gender}", {"session": "01", "gender": "F"}), fill("{age}", {})
        ('01F', None)
    """
    names = re.findall(r"\{([^}]*)\}", template)
    if any(name not in data for name in names):
        return None
    return re.sub(r"\{([^}]*)\}", lambda match: data[match[1]], template)


def key_of(text: str) -> str:
    """Return a recording's name without folders and without a suffix of sound.

    Examples:
        >>> key_of("wavs/a.b.WAV"), key_of("a.b")
        ('a.b', 'a.b')
    """
    path = PurePosixPath(text.strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in folder_search.SUFFIXES else path.name


def read(table: CardTable, root: Path) -> tuple[dict[str, Row], int]:
    """Read all files of a table.

    Returns:
        key → row, the first where several have the same key; and how many rows contradict the first of their key.

    Raises:
        CorpusError: if there is no such file and the table is needed, or a file cannot be used.
    """
    paths = [path for path in sorted(root.glob(table.files)) if path.is_file() and not path.name.startswith(".")]
    if not paths and not table.optional:
        raise CorpusError(f"{root} contains no table {table.files}, which has the labels. Put it there as published.")
    rows: dict[str, Row] = {}
    n_contradicting = 0
    for path in paths:
        for row in _rows(table, path):
            key = fill(table.key, row)
            if key is None:
                raise CorpusError(f"{path} has no column for {table.key}. Its columns: {', '.join(row)}")
            row = _with_emotion(table, row, path)
            n_contradicting += rows.setdefault(key_of(key), row) != row
    return rows, n_contradicting


def _rows(table: CardTable, path: Path) -> Iterator[Row]:
    try:
        text = path.read_bytes().decode(table.encoding)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not in the encoding {table.encoding} (byte {error.start:,}). Save it in that encoding, or get "
            "the published file again."
        ) from None
    if table.json:
        yield from _json_rows(text, path)
    elif table.line:
        yield from (
            {name: value.strip() for name, value in found.groupdict().items() if value is not None}
            for found in map(re.compile(table.line).search, text.splitlines())
            if found is not None
        )
    else:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=table.separator)
        try:
            header = [column.strip() for column in next(lines, [])]
            yield from (
                {name: cell.strip() for name, cell in zip(header, cells, strict=False)} for cells in lines if cells
            )
        except csv.Error as error:
            raise CorpusError(
                f"{path}, row {lines.line_num}: not CSV: {error}. Get the published file again."
            ) from None


def _json_rows(text: str, path: Path) -> Iterator[Row]:
    try:
        objects = msgspec.json.decode(text, type=dict[str, dict[str, Any] | list[dict[str, Any]]])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CorpusError(
            f"{path} is not a JSON object of file names: {error}. Get the published file again."
        ) from None
    for name, found in objects.items():
        columns = found if isinstance(found, dict) else (found or [{}])[0]
        yield {"key": name} | {column: value for column, value in columns.items() if isinstance(value, str)}


def _with_emotion(table: CardTable, row: Row, path: Path) -> Row:
    if lacking := [column for column in (*table.one_hot, *table.votes) if column not in row]:
        raise CorpusError(f"{path} has no column '{lacking[0]}'. Its columns: {', '.join(row)}")
    if table.one_hot:
        marked = [column for column in table.one_hot if row[column] in ("1", "1.0", "True")]
        return row | {"emotion": marked[0] if len(marked) == 1 else NO_MAJORITY}
    if table.votes:
        votes = Counter(row[column].casefold() for column in table.votes if row[column]).most_common(2)
        wins = votes and votes[0][1] >= table.least_votes and (len(votes) == 1 or votes[0][1] > votes[1][1])
        return row | {"emotion": votes[0][0] if wins else NO_MAJORITY}
    return row
