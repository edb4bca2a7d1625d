"""The result for one window, and many windows stored as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The result of recognising one window."""

    start_s: float
    end_s: float
    time_s: float  # the window's centre, the time that the result is about
    speech: bool  # whether the window contains speech; if not, there is no emotion either
    emotion: str | None  # the most probable label
    probability: float | None  # of that emotion, calibrated
    abstain: bool  # the probability is below the threshold, or there is no speech: treat it as no answer
    probabilities: dict[str, float]  # by label, in the model's order; empty without speech
    voiced_start_s: float
    voiced_end_s: float


class Windows(Sequence[Window]):
    """Windows in order of time; each `Window` object is created on access.

    An hour has thousands of windows; stored as objects they would take ten times the memory.

    Args:
        labels: the emotions, in the model's order.
        start_s: where the windows start, shape (n_windows,), seconds.
        end_s: where the windows end, shape (n_windows,), seconds.
        voiced_start_s: where their voiced spans start, shape (n_windows,), seconds.
        voiced_end_s: where their voiced spans end, shape (n_windows,), seconds.
        speech: shape (n_windows,), bool.
        probabilities: shape (n_windows, n_labels), float64; NaN without speech.
        abstain: shape (n_windows,), bool.
        ratings: shape (n_windows, n_dimensions), NaN without speech; None for none. The single windows do not have
            them.
    """

    __slots__ = (
        "abstain", "end_s", "labels", "probabilities", "ratings", "speech", "start_s", "voiced_end_s", "voiced_start_s"
    )  # fmt: skip

    def __init__(
        self,
        labels: tuple[str, ...],
        start_s: Column,
        end_s: Column,
        voiced_start_s: Column,
        voiced_end_s: Column,
        speech: NDArray[np.bool_],
        probabilities: Column,
        abstain: NDArray[np.bool_],
        ratings: Column | None = None,
    ) -> None:
        self.labels = labels
        self.start_s, self.end_s = start_s, end_s
        self.voiced_start_s, self.voiced_end_s = voiced_start_s, voiced_end_s
        self.speech = speech
        self.probabilities = probabilities
        self.abstain = abstain
        self.ratings = np.empty((len(start_s), 0)) if ratings is None else ratings

    @classmethod
    def join(cls, labels: tuple[str, ...], parts: Iterable[Windows]) -> Windows:
        """Concatenate parts; without parts, the result is empty."""
        found = list(parts) or [cls.of(labels, ())]
        names = ("start_s", "end_s", "voiced_start_s", "voiced_end_s", "speech", "probabilities", "abstain")
        columns: list[Any] = [np.concatenate([getattr(part, name) for part in found]) for name in names]
        width = max(part.ratings.shape[1] for part in found)
        ratings = [one.ratings if one.ratings.shape[1] else np.full((len(one), width), np.nan) for one in found]
        return cls(labels, *[*columns, np.concatenate(ratings)])

    @classmethod
    def of(cls, labels: tuple[str, ...], windows: Sequence[Window]) -> Windows:
        """Convert single windows, such as those read back from JSON, to columns."""
        if isinstance(windows, cls):
            return windows
        missing = dict.fromkeys(labels, np.nan)
        return cls(
            labels,
            np.array([window.start_s for window in windows], np.float64),
            np.array([window.end_s for window in windows], np.float64),
            np.array([window.voiced_start_s for window in windows], np.float64),
            np.array([window.voiced_end_s for window in windows], np.float64),
            np.array([window.speech for window in windows], np.bool_),
            np.array(
                [[(window.probabilities or missing)[label] for label in labels] for window in windows], np.float64
            ).reshape(len(windows), len(labels)),
            np.array([window.abstain for window in windows], np.bool_),
        )

    @property
    def time_s(self) -> Column:
        """The windows' centres, shape (n_windows,), seconds."""
        return 0.5 * (self.start_s + self.end_s)

    def best(self) -> NDArray[np.int64]:
        """Return the index of each window's most probable label, shape (n_windows,); -1 without speech."""
        best = np.full(len(self), -1)
        if self.speech.any():
            best[self.speech] = self.probabilities[self.speech].argmax(axis=1)
        return best

    def bounds_s(self, duration_s: float) -> Column:
        """Return the bounds of each window's span of the timeline, shape (n_windows + 1,), seconds.

        Neighbours divide what they both cover in its middle, because overlapping windows share their edges.
        """
        return np.concatenate([[0.0], 0.5 * (self.end_s[:-1] + self.start_s[1:]), [duration_s]])

    def __len__(self) -> int:
        return len(self.start_s)

    @overload
    def __getitem__(self, index: int) -> Window: ...

    @overload
    def __getitem__(self, index: slice) -> list[Window]: ...

    def __getitem__(self, index: int | slice) -> Window | list[Window]:
        if isinstance(index, slice):
            return [self._window(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        return self._window(index)

    def __iter__(self) -> Iterator[Window]:
        return map(self._window, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Window.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # unhashable, like a list: its arrays are mutable

    def __repr__(self) -> str:
        return f"<{len(self)} windows>"

    def _window(self, index: int) -> Window:
        start_s, end_s, speech = float(self.start_s[index]), float(self.end_s[index]), bool(self.speech[index])
        row = self.probabilities[index].tolist()
        best = max(range(len(row)), key=row.__getitem__)
        return Window(
            start_s=start_s,
            end_s=end_s,
            time_s=0.5 * (start_s + end_s),
            speech=speech,
            emotion=self.labels[best] if speech else None,
            probability=row[best] if speech else None,
            abstain=bool(self.abstain[index]),
            probabilities=dict(zip(self.labels, row, strict=True)) if speech else {},
            voiced_start_s=float(self.voiced_start_s[index]),
            voiced_end_s=float(self.voiced_end_s[index]),
        )
