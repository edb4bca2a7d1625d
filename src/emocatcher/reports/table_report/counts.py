"""The numbers of a table of predictions, as its page shows them and `--json` prints them."""

from __future__ import annotations

import msgspec

from emocatcher.reports.table_report.course import Course

N_BINS = 20  # of probability


class Model(msgspec.Struct, frozen=True):
    """A model that wrote rows."""

    name: str
    version: str
    settled_on: int  # recordings; 0 if it was not settled
    n: int  # rows


class Emotion(msgspec.Struct, frozen=True):
    """An emotion over the whole table."""

    n_answered: int
    n_abstained: int  # rows whose most probable emotion it is, below the threshold
    mean_probability: float | None  # over all rows with speech; None if the table has no probabilities by label


class Group(msgspec.Struct, frozen=True):
    """The rows with one value of a column."""

    name: str  # "" where the cell is empty
    n: int
    n_answered: int
    n_abstained: int
    n_failed: int
    emotions: dict[str, int]  # answered, by label
    guesses: dict[str, int]  # abstained, by the most probable label; without those that have no speech


class Grouping(msgspec.Struct, frozen=True):
    """All groups by one column, sorted by name."""

    by: str
    groups: tuple[Group, ...]
    others: Group | None  # together: groups that came after the ten thousand that are counted


class Guess(msgspec.Struct, frozen=True):
    """A recording in the lists of the most and the least sure."""

    path: str
    channel: str
    emotion: str
    probability: float
    abstain: bool
    second: str  # the second guess; "" if the table has no probabilities by label
    second_probability: float


class ErrorKind(msgspec.Struct, frozen=True):
    """Failures of one kind."""

    error: str
    n: int
    examples: tuple[tuple[str, str], ...]  # (path, message) of the first ones


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a table. A row is a recording, or a channel of one."""

    table: str  # the file's name
    n_rows: int
    n_recordings: int
    n_answered: int
    n_abstained: int  # also those without speech
    n_no_speech: int
    n_failed: int
    n_long: int  # recognised window by window
    mean_probability: float | None  # of the answers
    labels: tuple[str, ...]
    emotions: dict[str, Emotion]
    models: tuple[Model, ...]
    root: str  # the folder that has all recordings
    groupings: tuple[Grouping, ...]
    course: Course | None
    no_course: str  # the reason; "" if there is one
    most_sure: tuple[Guess, ...]
    least_sure: tuple[Guess, ...]
    histogram: tuple[tuple[int, ...], tuple[int, ...]]  # of the probability, in equal bins: answered, abstained
    warnings: dict[str, int]  # rows by code
    errors: tuple[ErrorKind, ...]
    notes: tuple[str, ...]
