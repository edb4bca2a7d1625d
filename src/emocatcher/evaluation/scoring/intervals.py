"""Intervals of parts of a result: of recall by the cluster bootstrap, of one speaker's accuracy by Wilson's formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from emocatcher.evaluation.scoring import bootstrap, metrics


def recall_intervals(
    true: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    groups: Sequence[str | None] | npt.NDArray[Any] | None,
    n_classes: int,
    level: float = bootstrap.LEVEL,
) -> npt.NDArray[np.float64]:
    """Percentile intervals of recall by the cluster bootstrap, with the same draws as `metrics.bootstrap_intervals`.

    Args:
        true: shape (n_utterances,), integer classes in 0..n_classes - 1.
        predicted: the same for the predicted classes.
        groups: (n_utterances,) speakers; None, or None among them, where unknown.
        n_classes: number of classes.
        level: share of resamples inside the interval, in 0..1.

    Returns:
        shape (n_classes, 2), lowest and highest, fractions in 0..1; NaN for a class without utterances. Resamples
        without utterances of a class are left out for that class.

    Examples:
        >>> recall_intervals(np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0]), ["a", "a", "b", "b"], 3).tolist()
        [[0.0, 1.0], [0.0, 1.0], [nan, nan]]
    """
    of = bootstrap.clusters(groups, len(true), alike=true * n_classes + predicted, n_alike=n_classes**2)
    confusions = metrics.confusions_by_cluster(true, predicted, of, n_classes)
    counts = np.stack([np.diagonal(confusions, axis1=1, axis2=2), confusions.sum(axis=2)], axis=1)

    def recalls(times_drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        n_right, n_true = np.moveaxis(np.tensordot(times_drawn, counts, 1), 1, 0)
        recalled: npt.NDArray[np.float64] = np.divide(
            n_right, n_true, out=np.full(n_true.shape, np.nan), where=n_true > 0
        )
        return recalled

    drawn = bootstrap.resample(of, recalls)
    found = np.full((n_classes, 2), np.nan)
    for index, values in enumerate(drawn.T):
        if not np.isnan(values).all():
            found[index] = bootstrap.interval(values[~np.isnan(values)], level)
    return found


def wilson_interval(n_right: int, n_all: int, level: float = bootstrap.LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927, "Probable inference", JASA 22).

    It assumes that the trials are independent, which the clips of one speaker are more nearly among each other than
    the clips of several speakers are, and it stays sensible at 0 and 1, where a bootstrap has no width.

    Args:
        n_right: how many of the trials succeeded.
        n_all: how many trials there are.
        level: share of such intervals that hold the true proportion, in 0..1.

    Raises:
        ValueError: if there is no trial, or more successes than trials.

    Examples:
        >>> [round(bound, 3) for bound in wilson_interval(12, 12)]
        [0.758, 1.0]
    """
    if not 0 <= n_right <= n_all or not n_all:
        raise ValueError(f"{n_right} of {n_all}; needed: at least one trial, and at most as many successes as trials")
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, weight = n_right / n_all, z * z / n_all
    middle = (rate + weight / 2) / (1 + weight)
    half = z * math.sqrt(rate * (1 - rate) / n_all + weight / n_all / 4) / (1 + weight)
    return max(middle - half, 0.0), min(middle + half, 1.0)
