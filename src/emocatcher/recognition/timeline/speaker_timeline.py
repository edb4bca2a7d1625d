"""The emotions of one speaker of a recording: by turns, and in sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.recognition.prediction import Caution
from emocatcher.recognition.timeline.recording import Timeline

_LEAST_S = 0.02  # of an overlap: files of turns round to hundredths, so that neighbours seem to overlap by less


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The result of recognising one turn of a speaker as one utterance, as in a `Prediction`."""

    start_s: float
    end_s: float
    overlap_s: float  # how long another speaker speaks meanwhile; 0 for none
    emotion: str | None  # the most probable label; None without speech
    probability: float | None  # of that emotion, calibrated
    abstain: bool  # the probability is below the threshold, or there is no speech: treat it as no answer
    probabilities: dict[str, float]  # by label, in the model's order; empty without speech
    shares: dict[str, float]  # of the speech of a turn of more than 10 s, by label; else empty
    voiced_start_s: float | None
    voiced_end_s: float | None
    warnings: tuple[Caution, ...]


class SpeakerTimeline(Timeline, frozen=True, kw_only=True):
    """A timeline of one speaker's turns; between them, it has windows and segments without speech.

    Its windows are the turns, but several for a turn of more than 10 s; and so are its segments.
    """

    speaker: str
    n_turns: int
    speaking_s: float  # the length of all turns
    overlap_s: float  # how much of it another speaker speaks too
    shares: dict[str, float]  # of the turns' time with speech, by label; they sum to 1; empty without speech
    turns: tuple[Turn, ...]

    @property
    def part(self) -> str:
        """The speaker."""
        return self.speaker


class _Place(Protocol):
    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...


def overlaps(turns: Iterable[_Place]) -> NDArray[np.float64]:
    """Return where two turns or more overlap, shape (n_overlaps, 2), seconds, in order of time.

    What may come from rounded times alone does not count.

    Examples:
        >>> from emocatcher.recognition.timeline.segments import Segment
        >>> def turn(start_s, end_s):
        ...     return Segment(start_s=start_s, end_s=end_s, emotion=None, probability=None, abstain=True)
        >>> overlaps([turn(0.0, 4.0), turn(3.0, 5.0), turn(4.999, 6.0)]).tolist()
        [[3.0, 4.0]]
    """
    places = np.array([(turn.start_s, turn.end_s) for turn in turns], np.float64).reshape(-1, 2)
    times_s = np.unique(places)
    begun = np.searchsorted(np.sort(places[:, 0]), times_s, side="right")
    ended = np.searchsorted(np.sort(places[:, 1]), times_s, side="right")
    several = np.concatenate([[False], begun - ended >= 2, [False]])  # from each time to the next
    changes = np.flatnonzero(several[1:] != several[:-1])
    found = np.asarray(times_s[changes].reshape(-1, 2))
    return found[np.diff(found, axis=1)[:, 0] >= _LEAST_S]


def overlaps_s(turns: Sequence[_Place], found: NDArray[np.float64]) -> list[float]:
    """Return how much of each turn is in one of the overlaps, seconds."""
    if not len(found):
        return [0.0] * len(turns)
    edges_s = np.concatenate([[0.0], np.cumsum(np.diff(found, axis=1)[:, 0])])
    before = np.column_stack([edges_s[:-1], edges_s[1:]]).ravel()
    starts, ends = (
        np.interp([getattr(turn, name) for turn in turns], found.ravel(), before) for name in ("start_s", "end_s")
    )
    return [round(float(one), 6) for one in ends - starts]
