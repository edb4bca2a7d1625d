"""Probabilities that mean what they say: one temperature, fitted on recordings that the model was not trained on.

Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2) divides all logits by
one number. It changes how sure an answer is, never which answer it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher import metrics

_RANGE = (0.05, 20.0)  # of temperatures; beyond, nothing but a coin or a certainty is left
_LEAST_PROBABILITY = 1e-7  # a run folder's table rounds to six decimals


class Calibration(NamedTuple):
    """What held-out answers say of how sure a model should be."""

    temperature: float  # fitted on all held-out answers
    expected_calibration_error: float  # without it
    expected_calibration_error_calibrated: float  # of each fold under the temperature of the other folds
    share_kept: float  # of answers that are not abstained from, likewise
    accuracy_kept: float  # of those; NaN where none is kept


def calibrate(
    probabilities: NDArray[np.floating], true: NDArray[np.integer], folds: NDArray[np.integer], abstain_below: float
) -> Calibration:
    """Fit the temperature, and measure by cross-fitting what it is worth.

    Args:
        probabilities: shape (n_utterances, n_classes), of every utterance by a model that did not train on it.
        true: shape (n_utterances,), classes.
        folds: shape (n_utterances,), whose model it was.
        abstain_below: the calibrated probability under which an answer is withheld.

    Raises:
        ValueError: if the shapes disagree, or there is only one fold.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        raise ValueError("one fold cannot be judged by the others: two or more are needed")
    crossed = np.empty(probabilities.shape)
    for number in numbers:
        here = folds == number
        crossed[here] = scale(probabilities[here], fit_temperature(probabilities[~here], true[~here]))
    kept = crossed.max(axis=1) >= abstain_below
    right = crossed.argmax(axis=1) == true
    return Calibration(
        temperature=fit_temperature(probabilities, true),
        expected_calibration_error=metrics.expected_calibration_error(probabilities, true),
        expected_calibration_error_calibrated=metrics.expected_calibration_error(crossed, true),
        share_kept=float(kept.mean()),
        accuracy_kept=float(right[kept].mean()) if kept.any() else float("nan"),
    )


class Reliability(NamedTuple):
    """The bins of a reliability diagram; those without an utterance hold NaN."""

    confidence: NDArray[np.float64]  # (n_bins,), mean probability of the answers
    accuracy: NDArray[np.float64]  # (n_bins,), share of them that is right
    n_utterances: NDArray[np.int64]  # (n_bins,)


def reliability(probabilities: NDArray[np.floating], true: NDArray[np.integer], n_bins: int = 15) -> Reliability:
    """How often answers of each confidence are right (Guo et al. 2017, figure 1).

    The bins are those of `metrics.expected_calibration_error`: (0, 1/n_bins] and on, by the highest probability.

    Args:
        probabilities: shape (n_utterances, n_classes), rows summing to 1.
        true: shape (n_utterances,), classes.
        n_bins: how many bins.

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
    """The temperature under which the true classes are most likely.

    Args:
        probabilities: shape (n_utterances, n_classes), of models that did not train on these utterances.
        true: shape (n_utterances,), classes.

    Examples:
        >>> sure, true = np.array([[0.99, 0.01]] * 4), np.array([0, 0, 0, 1])
        >>> bool(np.isclose(scale(sure, fit_temperature(sure, true))[0, 0], 0.75, atol=1e-3))
        True
    """
    from scipy.optimize import minimize_scalar

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = scale(probabilities, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(scaled[np.arange(len(true)), true], _LEAST_PROBABILITY)).mean())

    found = minimize_scalar(negative_log_likelihood, bounds=np.log(_RANGE), method="bounded")
    return float(np.exp(found.x))


def scale(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities as they are under a temperature, shape (n_utterances, n_classes)."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST_PROBABILITY)) / temperature
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))
