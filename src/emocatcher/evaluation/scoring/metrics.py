"""Scores of a classifier: pure functions of integer labels and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from emocatcher.evaluation.scoring import bootstrap
from emocatcher.evaluation.scoring.bootstrap import Clusters

Counts = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float64]


class Scores(msgspec.Struct, frozen=True):
    """The scores of one set of predictions; every rate is a fraction in 0..1."""

    n_utterances: int
    n_correct: int
    accuracy: float
    unweighted_average_recall: float
    macro_f1: float
    recall: dict[str, float | None]  # None: no utterance has this label


class Intervals(msgspec.Struct, frozen=True):
    """Confidence intervals as (low, high), fractions in 0..1, and how they were computed."""

    accuracy: tuple[float, float]
    unweighted_average_recall: tuple[float, float]
    level: float
    resampled: Literal["speakers", "utterances"]
    n_resamples: int


def confusion_matrix(true: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> Counts:
    """Count how often each class was predicted as each class.

    Args:
        true: shape (n_utterances,), integer classes in 0..n_classes - 1.
        predicted: the same for the predicted classes.
        n_classes: number of classes.

    Returns:
        shape (n_classes, n_classes), int64; rows are true classes, columns are predicted classes.

    Raises:
        ValueError: if the arrays are empty, not integer, of different shapes, or hold a class out of range.

    Examples:
        >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    true, predicted = _check_classes(true, predicted, n_classes)
    return np.bincount(true * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy_score(confusion: npt.ArrayLike) -> float:
    """The share of correct predictions (WAR: the mean of the recalls, weighted by class frequency).

    Args:
        confusion: shape (n_classes, n_classes), counts, rows true.

    Raises:
        ValueError: if the matrix is not square, does not hold counts, or is all zero.

    Examples:
        >>> accuracy_score([[3, 1], [0, 0]])
        0.75
    """
    return float(_accuracies(_check_confusion(confusion)))


def recall_scores(confusion: npt.ArrayLike) -> Rates:
    """The share of each class's utterances that are predicted correctly.

    Args:
        confusion: shape (n_classes, n_classes), counts, rows true.

    Returns:
        shape (n_classes,), float64; NaN for a class without utterances.

    Raises:
        ValueError: if the matrix is not square, does not hold counts, or is all zero.

    Examples:
        >>> recall_scores([[3, 1], [0, 0]]).tolist()
        [0.75, nan]
    """
    return _recalls(_check_confusion(confusion))


def unweighted_average_recall_score(confusion: npt.ArrayLike) -> float:
    """The mean recall of the classes that occur (UAR); every class has the same weight.

    Args:
        confusion: shape (n_classes, n_classes), counts, rows true.

    Raises:
        ValueError: if the matrix is not square, does not hold counts, or is all zero.

    Examples:
        >>> unweighted_average_recall_score([[9, 1], [1, 1]])
        0.7
    """
    return float(_unweighted_average_recalls(_check_confusion(confusion)))


def macro_f1_score(confusion: npt.ArrayLike) -> float:
    """The mean F1 of the classes that occur among the labels or the predictions.

    Args:
        confusion: shape (n_classes, n_classes), counts, rows true.

    Raises:
        ValueError: if the matrix is not square, does not hold counts, or is all zero.

    Examples:
        >>> macro_f1_score([[2, 0, 0], [0, 2, 0], [0, 0, 0]])
        1.0
    """
    counts = _check_confusion(confusion)
    return _macro_f1(counts, len(counts))


def expected_calibration_error(probabilities: npt.ArrayLike, true: npt.ArrayLike, n_bins: int = 15) -> float:
    """The mean gap between confidence and accuracy; lower is better.

    Predictions are grouped by confidence into bins of equal width: (0, 1/n_bins], (1/n_bins, 2/n_bins] and so on. The
    gaps between mean confidence and accuracy are averaged over the bins, weighted by their counts
    (Naeini et al. 2015; Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3).

    Args:
        probabilities: shape (n_utterances, n_classes), rows summing to 1.
        true: shape (n_utterances,), integer classes.
        n_bins: number of bins.

    Raises:
        ValueError: if the shapes disagree, a row is not a distribution, or n_bins is below 1.

    Examples:
        >>> expected_calibration_error([[1.0, 0.0], [0.0, 1.0]], [0, 0])
        0.5
    """
    rows: Rates = np.asarray(probabilities, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"probabilities have the shape {rows.shape}; needed: (n_utterances, n_classes)")
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; at least 1 is needed")
    # In this form NaN, for which every comparison is false, is refused too.
    wrong = ~((rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) < 1e-3))
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"row {i} of the probabilities, {rows[i].tolist()}, is not a distribution that sums to 1")
    truth, predicted = _check_classes(true, rows.argmax(axis=1) if rows.size else [], rows.shape[1])
    confidence = rows.max(axis=1)
    bins = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    # |mean confidence - accuracy| * count is |sum of confidence - number correct|: the counts cancel.
    gaps = np.bincount(bins, weights=confidence - (truth == predicted), minlength=n_bins)
    return float(np.abs(gaps).sum() / len(truth))


def bootstrap_intervals(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    groups: Sequence[str | None] | npt.NDArray[Any] | None,
    n_classes: int,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Intervals:
    """Percentile intervals of accuracy and UAR by the cluster bootstrap (see `bootstrap`).

    Whole speakers are drawn, because the clips of one speaker are not independent. With fewer than two speakers, or
    any unknown, utterances are drawn instead; `resampled` records which.

    Args:
        true: shape (n_utterances,), integer classes in 0..n_classes - 1.
        predicted: the same for the predicted classes.
        groups: (n_utterances,) speakers; None, or None among them, where unknown.
        n_classes: number of classes.
        n_resamples: number of resamples.
        level: share of resamples inside the interval, in 0..1.
        seed: seed of the draws.

    Raises:
        ValueError: if the arrays do not fit each other, or if n_resamples or level is out of range.

    Examples:
        >>> bootstrap_intervals([0, 1, 0, 1], [0, 1, 0, 1], ["a", "a", "b", "b"], 2).accuracy
        (1.0, 1.0)
    """
    true, predicted = _check_classes(true, predicted, n_classes)
    of = bootstrap.clusters(groups, len(true), alike=true * n_classes + predicted, n_alike=n_classes**2)
    per_cluster = confusions_by_cluster(true, predicted, of, n_classes)
    scores = bootstrap.resample(of, lambda times_drawn: resampled_scores(times_drawn, per_cluster), n_resamples, seed)
    return Intervals(
        accuracy=bootstrap.interval(scores[:, 0], level),
        unweighted_average_recall=bootstrap.interval(scores[:, 1], level),
        level=level,
        resampled=of.resampled,
        n_resamples=n_resamples,
    )


def confusions_by_cluster(true: Counts, predicted: Counts, of: Clusters, n_classes: int) -> Counts:
    """One confusion matrix per cluster, which each draw of that cluster adds to a resample.

    Args:
        true: shape (n_utterances,), integer classes in 0..n_classes - 1.
        predicted: the same for the predicted classes.
        of: the clusters of the utterances.
        n_classes: number of classes.

    Returns:
        shape (n_clusters, n_classes, n_classes), int64; rows are true classes.
    """
    cells = (true * n_classes + predicted)[of.rows]
    n_clusters, n_cells = len(of.shares), n_classes**2
    counts = np.bincount(of.cluster * n_cells + cells, minlength=n_clusters * n_cells)
    return np.asarray(counts.reshape(n_clusters, n_classes, n_classes), np.int64)


def resampled_scores(times_drawn: Rates, confusions: Counts) -> Rates:
    """Accuracy and UAR of resamples; the UAR is over the classes that occur in a resample.

    Args:
        times_drawn: shape (n_resamples, n_clusters), as `bootstrap.resample` passes it to a statistic.
        confusions: shape (n_clusters, n_classes, n_classes), from `confusions_by_cluster`.

    Returns:
        shape (n_resamples, 2), fractions in 0..1.
    """
    resampled = times_drawn @ confusions.reshape(len(confusions), -1)
    drawn = resampled.reshape(-1, *confusions.shape[1:])
    return np.stack([_accuracies(drawn), _unweighted_average_recalls(drawn)], axis=1)


def score(true: npt.ArrayLike, predicted: npt.ArrayLike, labels: Sequence[str]) -> Scores:
    """All scores of one set of predictions.

    Args:
        true: shape (n_utterances,), integer positions in `labels`.
        predicted: the same for the predicted classes; `len(labels)` for no answer, which is wrong for every class.
        labels: names of the classes.

    Raises:
        ValueError: if the arrays are empty, not integer, of different shapes, or hold a class out of range.

    Examples:
        >>> score([0, 0, 1, 1], [0, 1, 1, 1], ["sad", "calm", "happy"]).recall
        {'sad': 0.5, 'calm': 1.0, 'happy': None}
    """
    _check_classes(true, true, len(labels))
    n_columns = len(labels) + bool(np.any(np.asarray(predicted) == len(labels)))
    confusion = confusion_matrix(true, predicted, n_columns)
    recalls = recall_scores(confusion)[: len(labels)].tolist()
    return Scores(
        n_utterances=int(confusion.sum()),
        n_correct=int(np.trace(confusion)),
        accuracy=accuracy_score(confusion),
        unweighted_average_recall=unweighted_average_recall_score(confusion),
        macro_f1=_macro_f1(confusion, len(labels)),  # no answer is no class
        recall={label: None if np.isnan(recall) else recall for label, recall in zip(labels, recalls, strict=True)},
    )


def _macro_f1(counts: Counts, n_classes: int) -> float:
    true_and_predicted = (counts.sum(axis=1) + counts.sum(axis=0))[:n_classes]
    occurs = true_and_predicted > 0
    return float(np.mean(2 * np.diagonal(counts)[:n_classes][occurs] / true_and_predicted[occurs]))


def _accuracies(confusions: npt.NDArray[Any]) -> Rates:  # this and the next two take shape (..., n_classes, n_classes)
    correct = np.trace(confusions, axis1=-2, axis2=-1)
    return np.asarray(correct / confusions.sum(axis=(-2, -1)), dtype=np.float64)


def _recalls(confusions: npt.NDArray[Any]) -> Rates:
    n_true = confusions.sum(axis=-1)
    correct = np.diagonal(confusions, axis1=-2, axis2=-1)
    recalls: Rates = np.full(n_true.shape, np.nan)
    np.divide(correct, n_true, out=recalls, where=n_true > 0)
    return recalls


def _unweighted_average_recalls(confusions: npt.NDArray[Any]) -> Rates:
    return np.asarray(np.nanmean(_recalls(confusions), axis=-1), dtype=np.float64)


def _check_classes(true: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> tuple[Counts, Counts]:
    arrays = np.asarray(true), np.asarray(predicted)
    if arrays[0].ndim != 1 or arrays[0].shape != arrays[1].shape:
        raise ValueError(f"true has the shape {arrays[0].shape}, predicted {arrays[1].shape}; needed: one length")
    if not arrays[0].size:
        raise ValueError("true and predicted are empty; at least one utterance is needed")
    for name, array in zip(("true", "predicted"), arrays, strict=True):
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{name} has the dtype {array.dtype}; needed: integer classes")
        if array.min() < 0 or array.max() >= n_classes:
            raise ValueError(f"{name} holds classes {array.min()} to {array.max()}; allowed: 0 to {n_classes - 1}")
    return arrays[0].astype(np.int64), arrays[1].astype(np.int64)


def _check_confusion(confusion: npt.ArrayLike) -> Counts:
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"the confusion matrix has the shape {counts.shape}; needed: (n_classes, n_classes)")
    if not np.issubdtype(counts.dtype, np.integer) or counts.min(initial=0) < 0:
        raise ValueError(
            f"the confusion matrix has the dtype {counts.dtype} and the minimum {counts.min()}; needed: counts"
        )
    if not counts.sum():
        raise ValueError("the confusion matrix holds no utterance; at least one is needed")
    return counts.astype(np.int64)
