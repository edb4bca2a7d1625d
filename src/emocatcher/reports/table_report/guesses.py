"""Keep the recordings that the model is most and least sure of."""

from __future__ import annotations

import heapq

from emocatcher.reports.table_report.counts import Guess
from emocatcher.reports.table_report.prediction_rows import Answer, kept

N_LISTED = 10  # in each list


class Extremes:
    """The rows with the highest and the lowest probabilities; of equal ones, the first."""

    def __init__(self) -> None:
        self._n = 0
        self._most: list[tuple[float, int, Guess]] = []
        self._least: list[tuple[float, int, Guess]] = []

    def add(self, answer: Answer) -> None:
        """Add a row that has an emotion."""
        self._n += 1
        for heap, rank in ((self._most, answer.probability), (self._least, -answer.probability)):
            if len(heap) < N_LISTED:
                heapq.heappush(heap, (rank, -self._n, _guess(answer)))
            elif heap[0][0] < rank:  # else it comes after those of the same probability
                heapq.heapreplace(heap, (rank, -self._n, _guess(answer)))

    @property
    def most(self) -> tuple[Guess, ...]:
        """The most sure ones, in falling order; of few rows, half of them, so that none is in both lists."""
        return _ordered(self._most)[: (self._n + 1) // 2]

    @property
    def least(self) -> tuple[Guess, ...]:
        """The least sure ones, in rising order."""
        return _ordered(self._least)[: self._n // 2]


def _guess(answer: Answer) -> Guess:
    others = {label: value for label, value in answer.probabilities.items() if label != answer.emotion}
    second = max(others, key=others.__getitem__, default="")
    return Guess(
        kept(answer.path), answer.channel, answer.emotion, answer.probability, answer.abstain, second,
        others.get(second, 0.0),
    )  # fmt: skip


def _ordered(heap: list[tuple[float, int, Guess]]) -> tuple[Guess, ...]:
    return tuple(guess for _, _, guess in sorted(heap, key=lambda one: one[:2], reverse=True))
