"""Calibrated probabilities: one temperature, fitted on recordings that the model was not trained on.

Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2) divides all logits by
one number. It changes the confidence of an answer, never the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation.scoring import abstaining, bootstrap, metrics
from emocatcher.evaluation.scoring.run_result import Calibration, FoldCalibration
from emocatcher.evaluation.scoring.softmax import softmax

LEAST_ACCURACY = 0.8  # of the answers that are given, when the threshold for abstaining is chosen
_RANGE = (0.05, 20.0)  # of temperatures; outside it, probabilities are practically uniform or certain
_LEAST_PROBABILITY = 1e-7  # the table in a run folder rounds to six decimals


def calibrate(
    probabilities: NDArray[np.floating],
    true: NDArray[np.integer],
    folds: NDArray[np.integer],
    *,
    temperature: float | None = None,
    abstain_below: float | None = None,
    groups: Sequence[str | None] | None = None,
) -> Calibration:
    """Fit the temperature and the threshold for abstaining, and measure their effect by cross-fitting.

    Each fold's answers are scored under the temperature and the threshold that were chosen on the other folds.

    Args:
        probabilities: shape (n_utterances, n_classes), of every utterance by a model that was not trained on it.
        true: shape (n_utterances,), classes.
        folds: shape (n_utterances,), the fold whose model gave the answer.
        temperature: the same for all folds; None for the one that `fit_temperature` finds.
        abstain_below: the calibrated probability below which an answer is withheld; None for the smallest one for
            which the accuracy of the remaining answers is at least `LEAST_ACCURACY`.
        groups: (n_utterances,) speakers, for the interval; None, or None among them, where unknown.

    Raises:
        ValueError: if the shapes disagree or there is only one fold.
    """
    numbers = np.unique(folds).tolist()
    if len(numbers) < 2:
        raise ValueError("there is one fold, and calibration is measured on the other folds: two or more are needed")
    right = probabilities.argmax(axis=1) == true

    def fit(chosen: NDArray[np.bool_]) -> tuple[float, float | None]:
        found = fit_temperature(probabilities[chosen], true[chosen]) if temperature is None else temperature
        if abstain_below is not None:
            return found, abstain_below
        confidence = scale(probabilities[chosen], found).max(axis=1)
        return found, abstaining.smallest_threshold(confidence, right[chosen], LEAST_ACCURACY)

    sure, kept, judged = np.empty(probabilities.shape), np.zeros(len(true), bool), []
    for number in numbers:
        here = folds == number
        of_others, threshold = fit(~here)
        sure[here] = scale(probabilities[here], of_others)
        kept[here] = threshold is not None and sure[here].max(axis=1) >= threshold
        judged.append(
            FoldCalibration(
                fold=number,
                temperature=of_others,
                abstain_below=threshold,
                share_kept=float(kept[here].mean()),
                accuracy_kept=_mean(right[here & kept]),
            )
        )
    of_all, threshold = fit(np.ones(len(true), bool))
    return Calibration(
        temperature=of_all,
        expected_calibration_error=metrics.expected_calibration_error(probabilities, true),
        expected_calibration_error_calibrated=metrics.expected_calibration_error(sure, true),
        area_under_risk_coverage=abstaining.area_under_risk_coverage(sure.max(axis=1), right),
        least_accuracy=LEAST_ACCURACY if abstain_below is None else None,
        abstain_below=threshold,
        share_kept=float(kept.mean()),
        accuracy_kept=_mean(right[kept]),
        accuracy_kept_interval=_interval(right, kept, groups),
        folds=tuple(judged),
    )


def crossed(
    probabilities: NDArray[np.floating], folds: NDArray[np.integer], calibration: Calibration
) -> NDArray[np.float64]:
    """Each fold's probabilities under the temperature that the other folds chose, shape (n_utterances, n_classes)."""
    found = np.empty(probabilities.shape)
    for one in calibration.folds:
        found[folds == one.fold] = scale(probabilities[folds == one.fold], one.temperature)
    return found


def answered(
    probabilities: NDArray[np.floating], folds: NDArray[np.integer], calibration: Calibration
) -> NDArray[np.bool_]:
    """Whether each answer reaches the threshold that the other folds chose, shape (n_utterances,)."""
    found = np.zeros(len(folds), bool)
    confidence = crossed(probabilities, folds, calibration).max(axis=1)
    for one in calibration.folds:
        if one.abstain_below is not None:
            found |= (folds == one.fold) & (confidence >= one.abstain_below)
    return found


class TemperatureGain(NamedTuple):
    """By how much a temperature lowers the log loss of folds that it was not fitted on."""

    log_loss: float  # nats per utterance, without the temperature minus with it; above 0 where it helps
    interval: tuple[float, float]  # 95%
    resampled: Literal["speakers", "utterances"]

    @property
    def beyond_chance(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.interval[0] > 0


def temperature_gain(
    probabilities: NDArray[np.floating],
    true: NDArray[np.integer],
    folds: NDArray[np.integer],
    calibration: Calibration,
    groups: Sequence[str | None] | None = None,
) -> TemperatureGain:
    """Compare every fold under the temperature that the other folds chose with the same fold without one.

    The criterion is the log loss (negative log-likelihood), which the temperature was fitted to lower; the calibration
    error has no value per utterance, and changes with the bins. The interval is the cluster bootstrap's, of the paired
    differences of the utterances.

    Args:
        probabilities: shape (n_utterances, n_classes), as for `calibrate`.
        true: shape (n_utterances,), classes.
        folds: shape (n_utterances,), the fold whose model gave the answer.
        calibration: what `calibrate` found for them.
        groups: (n_utterances,) speakers; None, or None among them, where unknown.
    """
    without = _log_losses(scale(probabilities, 1.0), true)
    gains = without - _log_losses(crossed(probabilities, folds, calibration), true)
    of = bootstrap.clusters(groups, len(true))
    return TemperatureGain(float(gains.mean()), bootstrap.interval(bootstrap.resample_means(of, gains)), of.resampled)


class Reliability(NamedTuple):
    """The bins of a reliability diagram; a bin without utterances holds NaN."""

    confidence: NDArray[np.float64]  # (n_bins,), mean probability of the predicted class
    accuracy: NDArray[np.float64]  # (n_bins,), share of correct predictions
    n_utterances: NDArray[np.int64]  # (n_bins,)


def reliability(probabilities: NDArray[np.floating], true: NDArray[np.integer], n_bins: int = 15) -> Reliability:
    """The accuracy of predictions by confidence (Guo et al. 2017, figure 1).

    The bins are those of `metrics.expected_calibration_error`, by the highest probability.

    Args:
        probabilities: shape (n_utterances, n_classes), rows summing to 1.
        true: shape (n_utterances,), classes.
        n_bins: number of bins.

    Examples:
        >>> bins = reliability(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]), n_bins=2)
        >>> bins.accuracy.tolist(), bins.n_utterances.tolist()
        ([nan, 0.5], [0, 2])
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == true
    bins = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    sums = [np.bincount(bins, weights=weights, minlength=n_bins) for weights in (confidence, right)]
    means = [np.divide(total, counts, out=np.full(n_bins, np.nan), where=counts > 0) for total in sums]
    return Reliability(confidence=means[0], accuracy=means[1], n_utterances=counts)


def fit_temperature(probabilities: NDArray[np.floating], true: NDArray[np.integer]) -> float:
    """The temperature that maximises the likelihood of the true classes.

    Args:
        probabilities: shape (n_utterances, n_classes), by models that were not trained on these utterances.
        true: shape (n_utterances,), classes.

    Examples:
        >>> sure, true = np.array([[0.99, 0.01]] * 4), np.array([0, 0, 0, 1])
        >>> bool(np.isclose(scale(sure, fit_temperature(sure, true))[0, 0], 0.75, atol=1e-3))
        True
    """
    from scipy.optimize import minimize_scalar

    def negative_log_likelihood(log_temperature: float) -> float:
        return float(_log_losses(scale(probabilities, float(np.exp(log_temperature))), true).mean())

    found = minimize_scalar(negative_log_likelihood, bounds=np.log(_RANGE), method="bounded")
    return float(np.exp(found.x))


def scale(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Apply a temperature to probabilities; shape (n_utterances, n_classes)."""
    return softmax(np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST_PROBABILITY)), temperature)


def _log_losses(probabilities: NDArray[np.float64], true: NDArray[np.integer]) -> NDArray[np.float64]:
    """Of each utterance, in nats, shape (n_utterances,)."""
    of_truth = probabilities[np.arange(len(true)), true]
    return np.asarray(-np.log(np.maximum(of_truth, _LEAST_PROBABILITY)), np.float64)


def _mean(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if right.size else None


def _interval(
    right: NDArray[np.bool_], kept: NDArray[np.bool_], groups: Sequence[str | None] | None
) -> tuple[float, float] | None:
    """The interval of the accuracy of the answers that are kept."""
    if not kept.any():
        return None
    # Two classes, right and wrong: the labels say that every answer is right, the predictions whether it is.
    speakers = None if groups is None else [group for group, stays in zip(groups, kept, strict=True) if stays]
    found = metrics.bootstrap_intervals(np.ones(int(kept.sum()), np.int64), right[kept].astype(np.int64), speakers, 2)
    return found.accuracy
