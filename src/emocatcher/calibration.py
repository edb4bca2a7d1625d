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
