"""The course of the emotions: rows are put into parts of equal length, by a column of times or by their order."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import one_line
from emocatcher.reports.table_report.prediction_rows import BadCellError, kept, text

Kind: TypeAlias = Literal["date", "number", "rows"]

ABSTAINED, FAILED = -1, -2  # in place of an emotion's index
_MOST_PARTS = 40
_FEWEST_EACH = 10  # answers in a part, on average: the shares of fewer are mostly chance
_FEWEST_PARTS = 4  # are allowed anyway: three months, which may begin and end within one, are shown as months
FEWEST_ANSWERS = 2 * _FEWEST_EACH  # of a course
_EPOCH = datetime(1970, 1, 1)  # without a zone, as are times that have none
_ALLOWED = "Allowed: dates and times as 2024-05-31, 2024-05-31 14:30 or 2024-05-31T14:30:00Z, or numbers"
_DAY_S = 86_400
_MONDAY_S = 4 * _DAY_S  # after the epoch, which was a Thursday


class Part(msgspec.Struct, frozen=True):
    """A part of the course."""

    start: str  # of the first one not before the first row, where its place is a calendar's
    n_answered: int
    n_abstained: int
    n_failed: int
    emotions: dict[str, int]  # answered, by label


class Course(msgspec.Struct, frozen=True):
    """The numbers of all parts, in their order; parts without rows are included."""

    by: str  # the column's name; "" for the order of rows
    step: str  # the length of a part, in words
    part: str  # the same as a word behind "by": "month", "5 minutes"; "" for numbers
    is_utc: bool  # the times had zones
    n_without: int  # rows without a time
    parts: tuple[Part, ...]


class Times:
    """Collects the time and the outcome of each row: 10 bytes for each, in memory.

    Args:
        column: the column of times; "" for the order of rows.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.kind: Kind | None = None if column else "rows"
        self.is_utc: bool | None = None
        self.n_without = 0
        self._values, self._outcomes, self._n_rows = array("d"), array("h"), 0

    def add(self, cell: Any, outcome: int) -> None:
        """Add a row: its cell, and the index of its emotion, `ABSTAINED` or `FAILED`.

        Raises:
            BadCellError: if the cell is no time, or of another kind than those before.
        """
        self._n_rows += 1
        if not self.column:
            value = float(self._n_rows)
        elif text(cell) == "":
            self.n_without += 1
            return
        else:
            value = self._read(cell)
        self._values.append(value)
        self._outcomes.append(outcome)

    def cut(self, labels: Sequence[str]) -> Course | str:
        """Return the course, or the reason why there is none, in words."""
        values, outcomes = np.array(self._values), np.array(self._outcomes)
        n_answered = int((outcomes >= 0).sum())
        if n_answered < FEWEST_ANSWERS:
            have = "have a time" if self.column else "are in the table"
            return f"fewer than {FEWEST_ANSWERS} answered rows {have}, and shares of so few are mostly chance"
        if values.min() == values.max():
            return "all rows have the same time"
        step = self._step(values, min(max(n_answered // _FEWEST_EACH, _FEWEST_PARTS), _MOST_PARTS))
        places = step.place(values)
        first, last = int(places.min()), int(places.max())
        if first == last:
            return "all rows lie in one part"
        parts = []
        for place in range(first, last + 1):
            here = outcomes[places == place]
            counts = np.bincount(here[here >= 0], minlength=len(labels)).tolist()
            parts.append(
                Part(
                    start=step.first(float(values.min())) if place == first else step.name(place),
                    n_answered=sum(counts),
                    n_abstained=int((here == ABSTAINED).sum()),
                    n_failed=int((here == FAILED).sum()),
                    emotions={label: n for label, n in zip(labels, counts, strict=False) if n},
                )
            )
        part = "" if self.kind == "number" else step.words.removeprefix("1 ")
        return Course(kept(self.column), step.words, part, bool(self.is_utc), self.n_without, tuple(parts))

    def _step(self, values: NDArray[np.float64], most: int) -> _Step:
        if self.kind == "date":
            steps = (*map(_seconds, _SECONDS), *map(_months, _MONTHS))
        else:
            whole = self.kind == "rows" or bool((values == np.floor(values)).all())
            least = math.floor(math.log10((values.max() - values.min()) / most)) - 1
            sizes = [m * 10.0**power for power in range(least, least + 4) for m in (1, 2, 5)]
            steps = tuple(_numbers(size, self.kind == "rows") for size in sizes if size >= 1 or not whole)
        for step in steps:
            # Only the ends are compared, so a part without rows counts too.
            ends = step.place(np.array([values.min(), values.max()]))
            if ends[1] - ends[0] < most:
                return step
        return steps[-1]

    def _read(self, cell: Any) -> float:
        found = _as_number(cell)
        moment = _as_date(cell)
        kind: Kind = "date" if moment is not None else "number"
        if moment is None and found is None:
            raise BadCellError(f"{self.column} is {one_line(cell)[:40]!r}. {_ALLOWED}")
        if self.kind not in (None, kind):
            raise BadCellError(
                f"{self.column} is {one_line(cell)[:40]!r}, and rows before have {self.kind}s. {_ALLOWED}"
            )
        self.kind = kind
        if moment is None:
            return float(found or 0.0)
        is_utc = moment.tzinfo is not None
        if self.is_utc not in (None, is_utc):
            raise BadCellError(f"{self.column} is {one_line(cell)[:40]!r}: give a time zone in all rows or in none")
        self.is_utc = is_utc
        moment = moment.astimezone(UTC).replace(tzinfo=None) if is_utc else moment
        return (moment - _EPOCH).total_seconds()


def _as_date(cell: Any) -> datetime | None:
    """Return a date or a time of day on a date; None if the cell is none.

    Examples:
        >>> _as_date("2024-05-31T14:30"), _as_date(20240531).month, _as_date("12.5"), _as_date("1700000000")
        (datetime.datetime(2024, 5, 31, 14, 30), 5, None, None)
    """
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    words = text(cell)
    if words.replace(".", "", 1).lstrip("+-").isdecimal() and not (len(words) == 8 and words[:2] in ("19", "20")):
        return None
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        return None


def _as_number(cell: Any) -> float | None:
    if isinstance(cell, bool):
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e15 else None


class _Step(NamedTuple):
    words: str
    place: Callable[[NDArray[np.float64]], NDArray[np.int64]]  # of values: the number of their part
    name: Callable[[int], str]  # the start of a part
    first: Callable[[float], str]  # of the first value: the start of its part, or its own day or month


def _seconds(named: tuple[str, int]) -> _Step:
    words, size = named
    offset = _MONDAY_S if size % (7 * _DAY_S) == 0 else 0
    form = "%Y-%m-%d" if size >= _DAY_S else "%Y-%m-%d %H:%M" if size >= 60 else "%Y-%m-%d %H:%M:%S"

    def name_of(second: int) -> str:
        return (_EPOCH + timedelta(seconds=second)).strftime(form)

    def name(place: int) -> str:
        return name_of(place * size + offset)

    def first(value: float) -> str:
        unit = _DAY_S if size > _DAY_S else size
        return name_of(math.floor(value / unit) * unit)

    return _Step(words, lambda values: np.floor((values - offset) / size).astype(np.int64), name, first)


def _months(named: tuple[str, int]) -> _Step:
    words, size = named

    def month_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.floor(values).astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) + 1970 * 12

    def place(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.asarray(month_of(values) // size, dtype=np.int64)

    def name(place: int) -> str:
        return name_of(place * size)

    def name_of(n_months: int) -> str:
        year, month = divmod(n_months, 12)
        return f"{year:04}" if size % 12 == 0 else f"{year:04}-{month + 1:02}"

    return _Step(words, place, name, lambda value: name_of(month_of(np.array(value)).item()))


def _numbers(size: float, is_rows: bool) -> _Step:
    offset = int(is_rows)  # rows are counted from 1

    def name(place: int) -> str:
        return f"{place * size + offset:.12g}"

    def place(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.floor((values - offset) / size).astype(np.int64)

    words = f"{size:,.12g}{(' rows' if size > 1 else ' row') * is_rows}"
    return _Step(words, place, name, lambda value: name(place(np.array(value)).item()))


_SECONDS = (
    ("1 second", 1), ("5 seconds", 5), ("10 seconds", 10), ("30 seconds", 30), ("1 minute", 60), ("5 minutes", 300),
    ("10 minutes", 600), ("30 minutes", 1800), ("1 hour", 3600), ("3 hours", 10_800), ("6 hours", 21_600),
    ("12 hours", 43_200), ("1 day", _DAY_S), ("1 week", 7 * _DAY_S),
)  # fmt: skip
_MONTHS = (
    ("1 month", 1), ("1 quarter", 3), ("1 year", 12), ("5 years", 60), ("10 years", 120), ("50 years", 600),
    ("100 years", 1200), ("1000 years", 12_000),
)  # fmt: skip
