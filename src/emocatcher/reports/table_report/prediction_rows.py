"""Convert a row of a table of predictions, as stored in any format, to an answer or a failure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from emocatcher.foundation.errors import one_line

# Columns that every table of predictions has. Of a failure, JSON has only the path, the error and its message.
NEEDED = ("path", "emotion", "probability", "abstain", "warnings", "error", "model")
OPTIONAL = ("channel", "message", "model_version", "settled_on")
_OF_LABEL, _SHARE_OF_LABEL = "probability_", "share_"
_FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_LONGEST = 400  # characters of a text that is kept


class BadCellError(ValueError):
    """A cell has a value that no table of predictions has."""


class Answer(NamedTuple):
    """One row: a prediction, or the failure of a recording."""

    path: str
    channel: str = ""
    emotion: str = ""  # "" without speech, and for failures
    probability: float = 0.0
    probabilities: Mapping[str, float] = {}
    abstain: bool = False
    is_long: bool = False  # recognised window by window: the emotion has the largest share
    warnings: tuple[str, ...] = ()
    model: tuple[str, str, int] = ("", "", 0)  # name, version, and recordings that it settled on
    error: str = ""  # the exception's class name; "" for predictions
    message: str = ""


def is_wanted(column: str) -> bool:
    """Return whether a column belongs to a prediction and is used."""
    return column in NEEDED or column in OPTIONAL or column.startswith((_OF_LABEL, _SHARE_OF_LABEL))


def missing(columns: Mapping[str, Any] | list[str]) -> list[str]:
    """Return the needed columns that are not there."""
    return [name for name in NEEDED if name not in columns]


def read(cells: Mapping[str, Any]) -> Answer:
    """Return the answer in the cells of a row.

    Raises:
        BadCellError: if a cell is empty that must not be, or has a value that is not allowed.

    Examples:
        >>> read({"path": "a.wav", "emotion": "sad", "probability": "0.75", "abstain": "false"}).probability
        0.75
    """
    path = one_line(text(cells.get("path")))
    channel = kept(text(cells.get("channel")).removesuffix(".0"))
    if error := text(cells.get("error")):
        return Answer(path=path, channel=channel, error=kept(error), message=kept(text(cells.get("message"))))
    abstain = text(cells.get("abstain")).lower()
    if abstain not in _FLAGS:
        raise BadCellError(f"abstain is {abstain[:40]!r}. Allowed: true, false")
    settled_on = text(cells.get("settled_on")).removesuffix(".0") or "0"
    if not settled_on.isdecimal():
        raise BadCellError(f"settled_on is {settled_on[:40]!r}. Allowed: a number of recordings")
    emotion = kept(text(cells.get("emotion")))
    probabilities, is_long = _fractions(cells)
    return Answer(
        path=path,
        channel=channel,
        emotion=emotion,
        probability=_fraction(cells.get("probability"), "probability") if emotion else 0.0,
        probabilities=probabilities,
        abstain=_FLAGS[abstain],
        is_long=is_long,
        warnings=_codes(cells.get("warnings")),
        model=(kept(text(cells.get("model"))), kept(text(cells.get("model_version"))), int(settled_on)),
    )


def text(value: Any) -> str:
    """Return a cell as text; "" for an empty one, or for the NaN that pandas writes for it.

    Whole numbers have no decimal point: a column of numbers with empty cells becomes one of floats in pandas.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()


def kept(words: str) -> str:
    """Return a text on one line, and cut if it is long, so that a hostile table cannot fill the memory or the page."""
    words = one_line(words[: _LONGEST + 1])
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


@lru_cache(maxsize=16)
def _by_label(columns: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return the columns with the probability of a label, each with that label, and those with a share."""
    found = ((name, kept(name.removeprefix(_OF_LABEL))) for name in columns if name.startswith(_OF_LABEL))
    return tuple(found), tuple(name for name in columns if name.startswith(_SHARE_OF_LABEL))


def _fractions(cells: Mapping[str, Any]) -> tuple[dict[str, float], bool]:
    """Return the probabilities by label, and whether the row has shares."""
    by_label = cells.get("probabilities")
    if isinstance(by_label, dict):
        found = {kept(label): _fraction(value, f"probabilities.{label}") for label, value in by_label.items()}
        return found, bool(cells.get("shares"))
    columns, shares = _by_label(tuple(cells))
    found = {label: _fraction(cells[name], name) for name, label in columns if text(cells[name])}
    return found, any(text(cells[name]) for name in shares)


def _fraction(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number <= 1.0 + 1e-6:
        raise BadCellError(f"{one_line(name)[:60]} is {one_line(value)[:40]!r}. Allowed: a number from 0 to 1")
    return number


def _codes(value: Any) -> tuple[str, ...]:
    """Return the codes of warnings: text with semicolons in flat tables, objects in JSON."""
    if isinstance(value, list):
        found = [text(one.get("code") if isinstance(one, dict) else one) for one in value]
    else:
        found = text(value).split(";")
    return tuple(kept(code.strip()) for code in found if code.strip())
