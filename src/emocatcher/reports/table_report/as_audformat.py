"""Write a table of predictions, or the windows of a timeline, as a database of audformat without media."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emocatcher.corpora.exchange import audformat_writing
from emocatcher.corpora.exchange.audformat_tables import Place
from emocatcher.corpora.exchange.audformat_writing import Written
from emocatcher.corpora.places import staged
from emocatcher.foundation import dimensions
from emocatcher.foundation.errors import ManifestError
from emocatcher.reports.table_report.prediction_rows import text
from emocatcher.reports.table_report.stored_rows import Cells, StoredRows

_PROBABILITY, _SHARE = "probability", "share"
# The columns that are kept, beside the emotion, the probabilities and shares of labels, and the dimensions.
_KINDS: dict[str, type] = {
    **dict.fromkeys(("error", "warnings", "speaker"), str),
    **dict.fromkeys(
        ("margin", "entropy", "duration_s", "time_s", "overlap_s", "voiced_start_s", "voiced_end_s"), float
    ),
    **dict.fromkeys(("channel", "settled_on"), int),
    **dict.fromkeys(("abstain", "speech"), bool),
    **dict.fromkeys(dimensions.NAMES, float),
}
_TYPES = {str: "str", float: "float", int: "int", bool: "bool"}


class _Row(NamedTuple):
    place: Place
    channel: str
    values: dict[str, Any]


def is_predictions(path: Path) -> bool:
    """Return whether a file is a table of predictions, or of the windows of a timeline, by its columns."""
    try:
        stored = StoredRows(path)
        columns = stored.columns
        if columns is None:
            columns = list(next((cells for _, cells in stored.read(lambda _: True)), {}))
    except ManifestError:
        return False
    return {"path", "emotion", _PROBABILITY} <= set(columns) and bool({"abstain", "speech"} & set(columns))


def write(table: Path, to: Path, root: Path | None = None) -> int:
    """Write the predictions of a table, with the paths of its recordings relative to a folder.

    Args:
        table: JSON, JSONL, CSV or Parquet, as `predict` and `timeline` write them.
        to: the folder to create; missing, or empty.
        root: the folder that the files of the database are in; by default the one that all recordings share.

    Returns:
        the number of rows.

    Raises:
        ManifestError: if the table cannot be read, a recording is outside the root, or a recording has several rows,
            as with `--channels each`.
        OSError: if the folder cannot be written.
        MissingExtraError: if PyYAML is missing, or pyarrow for Parquet.
    """
    stored = StoredRows(table)
    rows = [_row(stored, number, cells) for number, cells in stored.read(lambda _: True)]
    if not rows:
        raise ManifestError(f"{table} has no rows. Give a table of predictions")
    rows = _relative(rows, table, root)
    names = [name for name in dict.fromkeys(name for row in rows for name in row.values) if name != "model"]
    used = [name for name in names if any(row.values.get(name) is not None for row in rows)]
    schemes = {name: _scheme(name, rows) for name in used}
    models = sorted({row.values["model"] for row in rows if row.values.get("model")})
    written = Written(
        columns={name: name for name in used},
        rows=((row.place, [row.values.get(name) for name in used]) for row in rows),
        segmented=any(row.place.end_s is not None for row in rows),
    )
    facts = {"name": table.stem, "description": f"Predictions of {', '.join(models) or 'emocatcher'}"}
    with staged(to) as staging:
        audformat_writing.write_database(staging, facts, schemes, {"emotion": written}, "emocatcher", "machine")
    return len(rows)


def _row(stored: StoredRows, number: int, cells: Cells) -> _Row:
    path = text(cells.get("path"))
    if not path:
        raise stored.fault(number, "the path is empty")
    start_s, end_s = (_number(stored, number, cells, name) for name in ("start_s", "end_s"))
    values: dict[str, Any] = {"emotion": text(cells.get("emotion")) or None}
    for name, value in _flat(cells).items():
        if (kind := _kind(name)) is str:
            values[name] = text(value) or None
        elif kind is bool:
            values[name] = {"true": True, "1": True, "false": False, "0": False}.get(text(value).lower())
        elif kind is not None:
            found = _number(stored, number, {name: value}, name)
            values[name] = found if found is None or kind is float else int(found)
    model = " ".join(filter(None, (text(cells.get("model")), text(cells.get("model_version")))))
    return _Row(Place(path, start_s, end_s), text(cells.get("channel")), values | {"model": model or None})


def _flat(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of JSON, which has objects, under the names of the flat tables."""
    flat: dict[str, Any] = {}
    for name, value in cells.items():
        if name in ("probabilities", "shares") and isinstance(value, dict):
            prefix = _PROBABILITY if name == "probabilities" else _SHARE
            flat |= {f"{prefix}_{label}": one for label, one in value.items()}
        elif name == "dimensions" and isinstance(value, dict):
            flat |= {one: rating.get("value") for one, rating in value.items() if isinstance(rating, dict)}
        elif name == "warnings" and isinstance(value, list):
            flat[name] = ";".join(text(one.get("code")) for one in value if isinstance(one, dict))
        else:
            flat[name] = value
    return flat


def _number(stored: StoredRows, number: int, cells: Mapping[str, Any], name: str) -> float | None:
    value = text(cells.get(name))
    if not value:
        return None
    try:
        found = float(value)
    except ValueError:
        found = math.inf
    if math.isinf(found):
        raise stored.fault(number, f"{name} is {value[:40]!r}. Allowed: a number")
    return None if math.isnan(found) else found  # as pandas writes an empty cell, if it is told to


def _relative(rows: Sequence[_Row], table: Path, root: Path | None) -> list[_Row]:
    """Return the rows with paths relative to the root, as audformat needs them, of which no two are the same."""
    whole = [Path(os.path.abspath(row.place.file)) for row in rows]  # noqa: PTH100 (links stay as they are)
    if root is None and len({path.anchor for path in whole}) == 1:
        root = Path(os.path.commonpath([path.parent for path in whole]))
    base = Path(os.path.abspath(root)) if root else None  # noqa: PTH100
    made, seen = [], set()
    for row, path in zip(rows, whole, strict=True):
        if base is None or not path.is_relative_to(base):
            raise ManifestError(f"{table}: {row.place.file} is not in {base or 'one folder'}. Give another --root")
        place = row.place._replace(file=path.relative_to(base).as_posix())
        if place in seen:
            channels = ", such as the channels of a recording" if row.channel else ""
            raise ManifestError(
                f"{table}: {row.place.file} has several rows{channels}. audformat has one for each file or segment: "
                "keep one row for each"
            )
        seen.add(place)
        made.append(row._replace(place=place))
    return made


def _scheme(name: str, rows: Sequence[_Row]) -> dict[str, Any]:
    if name == "emotion":
        prefix = f"{_PROBABILITY}_"
        of_columns = [one.removeprefix(prefix) for row in rows[:1] for one in row.values if one.startswith(prefix)]
        found = dict.fromkeys([*of_columns, *(row.values["emotion"] for row in rows if row.values["emotion"])])
        return {"dtype": "str", "labels": list(found)}
    kind = _kind(name)
    return {"dtype": _TYPES[kind or str], **({"minimum": 0.0, "maximum": 1.0} if _is_fraction(name) else {})}


def _kind(name: str) -> type | None:
    """Return the type of a column; None for one that is not kept."""
    return float if _is_fraction(name) else _KINDS.get(name)


def _is_fraction(name: str) -> bool:
    return name == _PROBABILITY or name.startswith((f"{_PROBABILITY}_", f"{_SHARE}_"))
