"""Intervals of many settings' scores, and of their differences, from the same draws of speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

LEVEL = 0.95
N_RESAMPLES = 2000
_DRAWN_AT_ONCE = 100


class Resampled(msgspec.Struct, frozen=True):
    """One setting's scores on every draw, shape (n_resamples,) each, fractions in 0..1."""

    accuracy: Rates
    unweighted_average_recall: Rates


def group_confusions(true: Counts, predicted: Counts, group: Counts, n_classes: int) -> Counts:
    """One confusion matrix per group.

    Args:
        true: shape (n_answers,), integer classes.
        predicted: the same, as predicted.
        group: shape (n_answers,), numbers from 0 on: the speaker of each, or the utterance where speakers are unknown.
        n_classes: how many classes there are.

    Returns:
        shape (n_groups, n_classes, n_classes), int64; rows are true classes.
    """
    n_groups = int(group.max()) + 1
    cells = (group * n_classes + true) * n_classes + predicted
    counts = np.bincount(cells, minlength=n_groups * n_classes**2)
    return np.asarray(counts.reshape(n_groups, n_classes, n_classes), np.int64)


def resample(confusions: Sequence[Counts], seed: int = 0) -> list[Resampled]:
    """Draw groups with replacement, the same for every setting, and score each draw.

    A speaker's clips succeed and fail together, so whole speakers are drawn; and since each draw is scored for all
    settings, the difference of two is a paired one (Field & Welsh 2007, "Bootstrapping clustered data"). The draws are
    those of `metrics.bootstrap_intervals`.

    Args:
        confusions: of each setting, from `group_confusions`, over the same groups.
        seed: of the draws.
    """
    n_groups = len(confusions[0])
    rng = np.random.default_rng(seed)
    shares = np.full(n_groups, 1 / n_groups)
    flat = [each.reshape(n_groups, -1) for each in confusions]
    drawn: list[list[Rates]] = [[] for _ in confusions]
    for start in range(0, N_RESAMPLES, _DRAWN_AT_ONCE):
        size = min(_DRAWN_AT_ONCE, N_RESAMPLES - start)
        times = rng.multinomial(n_groups, shares, size=size).astype(np.float64)
        for each, into in zip(flat, drawn, strict=True):
            # In float64, which BLAS multiplies; exact below 2**53.
            into.append((times @ each).reshape(size, *confusions[0].shape[1:]))
    return [scores_of(np.concatenate(each)) for each in drawn]


def scores_of(confusions: NDArray[Any]) -> Resampled:
    """Accuracy and UAR of confusion matrices, shape (..., n_classes, n_classes); the UAR is over classes that occur."""
    correct, n_true = np.diagonal(confusions, axis1=-2, axis2=-1), confusions.sum(axis=-1)
    recalls = np.full(n_true.shape, np.nan)
    np.divide(correct, n_true, out=recalls, where=n_true > 0)
    return Resampled(
        accuracy=np.asarray(correct.sum(axis=-1) / n_true.sum(axis=-1), np.float64),
        unweighted_average_recall=np.asarray(np.nanmean(recalls, axis=-1), np.float64),
    )


def interval(values: Rates) -> tuple[float, float]:
    """The percentile interval of what was drawn."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
