"""Score how much accuracy degraded recordings cost: paired differences to the recordings as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from emocatcher.evaluation.scoring import bootstrap, metrics

Answers = npt.NDArray[np.int64]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """The scores on recordings of one degradation; losses are those on clean recordings minus these."""

    accuracy: float
    accuracy_lost: float
    accuracy_lost_interval: tuple[float, float]
    unweighted_average_recall: float
    unweighted_average_recall_lost: float
    unweighted_average_recall_lost_interval: tuple[float, float]


class Robustness(msgspec.Struct, frozen=True, kw_only=True):
    """The scores on clean recordings, and the losses by name of the degradation; all are fractions, 0 to 1."""

    accuracy: float
    unweighted_average_recall: float
    losses: dict[str, Loss]
    level: float  # of the intervals
    resampled: Literal["speakers", "utterances"]
    n_speakers: int | None  # None: unknown
    n_utterances: int


class Stress(msgspec.Struct, frozen=True, kw_only=True):
    """The output of `emocatcher stress --json`."""

    model: str
    corpus: str
    protocol: str
    folds: tuple[int, ...]
    seed: int
    scores: Robustness
    titles: dict[str, str]  # of the degradations, in words
    synthetic: bool
    warnings: tuple[str, ...]


def compare(
    true: Answers, clean: Answers, degraded: dict[str, Answers], speakers: Sequence[str | None], n_classes: int
) -> Robustness:
    """Compare the answers to degraded recordings with those to the same recordings as they are.

    The intervals are those of the paired difference by the cluster bootstrap: a drawn speaker brings the answers to
    both. The draws are the same for all degradations.

    Args:
        true: shape (n_utterances,), integer classes.
        clean: the same for the answers to the recordings as they are.
        degraded: the same for each degradation.
        speakers: (n_utterances,), None where unknown.
        n_classes: number of classes.

    Examples:
        >>> true = np.array([0, 1, 0, 1])
        >>> found = compare(true, true, {"noise": np.array([0, 0, 0, 0])}, ["a", "a", "b", "b"], 2)
        >>> found.losses["noise"].accuracy_lost, found.losses["noise"].accuracy_lost_interval
        (0.5, (0.5, 0.5))
    """
    of = bootstrap.clusters(speakers, len(true))
    before = metrics.confusions_by_cluster(true, clean, of, n_classes)

    def losses(predicted: Answers) -> Loss:
        after = metrics.confusions_by_cluster(true, predicted, of, n_classes)

        def lost(times_drawn: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
            return metrics.resampled_scores(times_drawn, before) - metrics.resampled_scores(times_drawn, after)

        accuracy, recall = _scores(after)
        drawn = bootstrap.resample(of, lost)
        return Loss(
            accuracy=accuracy,
            accuracy_lost=clean_accuracy - accuracy,
            accuracy_lost_interval=bootstrap.interval(drawn[:, 0]),
            unweighted_average_recall=recall,
            unweighted_average_recall_lost=clean_recall - recall,
            unweighted_average_recall_lost_interval=bootstrap.interval(drawn[:, 1]),
        )

    clean_accuracy, clean_recall = _scores(before)
    known = None if any(speaker is None for speaker in speakers) else len(set(speakers))
    return Robustness(
        accuracy=clean_accuracy,
        unweighted_average_recall=clean_recall,
        losses={name: losses(predicted) for name, predicted in degraded.items()},
        level=bootstrap.LEVEL,
        resampled=of.resampled,
        n_speakers=known,
        n_utterances=len(true),
    )


def _scores(confusions: metrics.Counts) -> tuple[float, float]:
    confusion = confusions.sum(axis=0)
    return metrics.accuracy_score(confusion), metrics.unweighted_average_recall_score(confusion)
