"""Fit the linear layer of a model to a few recordings, without moving it further from its start than they justify.

The loss is that of a logistic regression, with a penalty on the squared distance from the start: the maximum a
posteriori estimate under a normal prior around the model's own weights (Chelba and Acero 2004, "Adaptation of Maximum
Entropy Capitalizer: Little Data Can Help a Lot"). Labels count alike, however many recordings they have.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import MissingExtraError

try:
    from scipy import optimize
except ModuleNotFoundError as error:
    raise MissingExtraError("Adapting a model", "train") from error

_MOST_STEPS = 150  # of the optimiser


class Layer(NamedTuple):
    """A linear layer on standardised statistics."""

    weight: NDArray[np.float32]  # (n_labels, n_statistics)
    bias: NDArray[np.float32]  # (n_labels,)

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """From (n_clips, n_statistics) to (n_clips, n_labels)."""
        return np.asarray(rows @ self.weight.T + self.bias, np.float64)


def fit(
    start: Layer, rows: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float64], pull: float
) -> Layer:
    """Fit a layer.

    Args:
        start: the layer to start from.
        rows: shape (n_clips, n_statistics), standardised.
        targets: shape (n_clips, n_labels), probabilities.
        weights: shape (n_clips,), of each clip in the loss; their sum makes no difference.
        pull: the penalty on half the squared distance from the start; infinity to fit the biases alone.
    """
    n_labels, n_statistics = start.weight.shape
    share = (weights / weights.sum())[:, None]
    moves = math.isfinite(pull)
    at_start = start.logits(rows)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        change = values[n_labels:].reshape(-1, n_statistics)
        logits = at_start + values[:n_labels]
        if moves:
            logits = logits + rows @ change.T.astype(np.float32)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        residual = share * (np.exp(log_probabilities) - targets)
        found = -float((share * targets * log_probabilities).sum())
        slope = residual.sum(axis=0)
        if not moves:
            return found, slope
        steep = residual.T.astype(np.float32) @ rows + pull * change
        return found + 0.5 * pull * float((change**2).sum()), np.concatenate([slope, steep.ravel()])

    first = np.zeros(n_labels + (start.weight.size if moves else 0))
    found = optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS}).x
    weight = start.weight + found[n_labels:].reshape(start.weight.shape).astype(np.float32) if moves else start.weight
    return Layer(weight, start.bias + found[:n_labels].astype(np.float32))
