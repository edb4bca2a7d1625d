"""Read the ratings of a table: columns such as `arousal[1:7]`, whose header has the range."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from emocatcher.corpora.manifest.columns import number_of, text_of
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.corpora.table import Utterance
from emocatcher.foundation import dimensions
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import ManifestError

_HEADER = re.compile(rf"\s*({'|'.join(dimensions.NAMES)})\s*(?:\[(.*)\])?\s*", re.IGNORECASE)


def is_one(column: str) -> bool:
    """Return whether a column has ratings, by its header.

    Examples:
        >>> is_one("arousal[1:7]"), is_one("Valence"), is_one("arousal_sd")
        (True, True, False)
    """
    return _HEADER.fullmatch(column) is not None


def header(name: str, low: float, high: float) -> str:
    """Return the header of a column of ratings; the range is read from it exactly.

    Examples:
        >>> header("arousal", 1, 7.0), header("valence", 5 / 3, 6.5)
        ('arousal[1:7]', 'valence[1.6666666666666667:6.5]')
    """
    return f"{name}[{_exact(low)}:{_exact(high)}]"


def rate(
    path: Path,
    rows: Sequence[Row],
    names: Sequence[str],
    utterances: Sequence[Utterance],
    *,
    allow_equal: bool = False,
) -> tuple[list[Utterance], tuple[Dimension, ...], list[str]]:
    """Add the ratings of a table to its utterances.

    Args:
        path: the table, for messages.
        rows: its rows.
        names: its columns.
        utterances: one for each row.
        allow_equal: leave out a column whose ratings are all equal, instead of an error.

    Returns:
        the utterances with the ratings that their rows have; the dimensions with at least one rating; and a note for
        each column that has none, and for each whose range is that of its ratings.

    Raises:
        ManifestError: if a column's range or a rating cannot be used, or all ratings are equal.
    """
    found: dict[str, tuple[Dimension, list[float | None]]] = {}
    notes = []
    for column in filter(is_one, names):
        ratings = [_rating(row, column) for row in rows]
        known = [rating for rating in ratings if rating is not None]
        bounds = _bounds(path, column)
        name = _name(column)
        if name in found:
            raise ManifestError(f"{path} has two columns for {name}. Remove one of them.")
        if not known:
            notes.append(f"the column {column} has no ratings")
            continue
        low, high = bounds or (min(known), max(known))
        for row, rating in zip(rows, ratings, strict=True):
            if rating is not None and not low <= rating <= high:
                raise ManifestError(
                    f"{row.place}: {name} is {rating:g}, outside the range {low:g} to {high:g} of the column. Correct "
                    f"the rating, or the range in the header: {column}"
                )
        if min(known) == max(known) and allow_equal:
            notes.append(f"all ratings of {name} are equal, and are left out")
            continue
        if min(known) == max(known):
            row = rows[next(i for i, rating in enumerate(ratings) if rating is not None)]
            raise ManifestError(
                f"{row.place}: {name} is {known[0]:g}, and so are all ratings of the column: nothing can be learned "
                "from it. Remove the column, or add other recordings"
            )
        if bounds is None:
            notes.append(
                f"the range of {name} is that of its ratings, {low:g} to {high:g}: to give that of the scale, name the "
                f"column as in {name}[1:7]"
            )
        found[name] = Dimension(name, low, high), ratings
    order = [name for name in dimensions.NAMES if name in found]
    if not order:
        return list(utterances), (), notes
    rated = []
    for number, utterance in enumerate(utterances):
        own = ((name, found[name][1][number]) for name in order)
        known_ones = tuple((name, rating) for name, rating in own if rating is not None)
        rated.append(msgspec.structs.replace(utterance, dimensions=known_ones))
    return rated, tuple(found[name][0] for name in order), notes


def _exact(bound: float) -> str:
    return repr(float(bound)).removesuffix(".0")


def _name(column: str) -> str:
    match = _HEADER.fullmatch(column)
    return match[1].lower() if match else ""


def _bounds(path: Path, column: str) -> tuple[float, float] | None:
    """Return the range in a header; None if it has none."""
    match = _HEADER.fullmatch(column)
    if match is None or match[2] is None:
        return None
    try:
        low, high = map(float, match[2].split(":"))
        Dimension(match[1].lower(), low, high)
    except ValueError:
        raise ManifestError(
            f"{path}, row 1: the column '{column}' has no range that can be used. Give the lowest and the highest "
            f"rating, such as {match[1].lower()}[1:7]"
        ) from None
    return low, high


def _rating(row: Row, column: str) -> float | None:
    value = number_of(row, column)
    if value is not None and math.isnan(value):
        raise ManifestError(
            f"{row.place}: {_name(column)} is '{text_of(row, column)}'. Give a number with a decimal point, or leave "
            "the cell empty."
        )
    return value
