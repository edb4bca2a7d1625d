"""Logits → probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of logits that are divided by a temperature, in double precision.

    Args:
        logits: shape (n_clips, n_classes).
        temperature: above 1 for less sure, below 1 for surer.

    Examples:
        >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    scaled = np.asarray(logits, np.float64) / temperature
    exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))
