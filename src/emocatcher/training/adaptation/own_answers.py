"""Fit the linear layer of a model to its own answers for recordings without labels (self-training).

The answers are those after settling, the surer half of each label counts, and the result is the mean of the layer
before and after (as Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Where the recordings seem to be of
few emotions, less of it is taken: one-sided recordings would teach the model to answer with what they have. The rule
was chosen among others in `benchmarks/RESULTS.md`, "Adapting to 50 recordings".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.recognition import settling
from emocatcher.training.adaptation import linear_layer
from emocatcher.training.adaptation.linear_layer import Layer

_PULL = 3.0
_SHARE = 0.5  # of the fitted layer, for the most varied answers
_LEAST_VARIETY = 0.7  # the answers for 25 recordings of one emotion have 0.5 to 0.95, of several 0.86 to 0.95


def fit(start: Layer, rows: NDArray[np.float32], temperature: float) -> Layer:
    """Fit a layer to its own answers.

    Args:
        start: the layer to start from.
        rows: shape (n_recordings, n_statistics), standardised.
        temperature: of the model.
    """
    answers = softmax(start.logits(rows), temperature)
    shift = temperature * settling.common_shift(answers)
    settled = Layer(start.weight, start.bias - shift.astype(np.float32))
    sure, labels = _sure(softmax(settled.logits(rows), temperature))
    counts = np.bincount(labels, minlength=len(start.bias))
    share = _SHARE * max(settling.variety(answers) - _LEAST_VARIETY, 0.0) / (1.0 - _LEAST_VARIETY)
    if np.count_nonzero(counts) < 2 or share == 0.0:
        return start
    targets = np.eye(len(counts), dtype=np.float32)[labels]
    fitted = linear_layer.fit(settled, rows[sure], targets, 1.0 / counts[labels], _PULL)
    return Layer(
        np.asarray((1.0 - share) * start.weight + share * fitted.weight, np.float32),
        np.asarray((1.0 - share) * start.bias + share * fitted.bias, np.float32),
    )


def _sure(answers: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the surer half of the answers with each label, and their labels."""
    labels, places = answers.argmax(axis=1), []
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        places.append(here[np.argsort(-answers[here, label], kind="stable")][: max(1, len(here) // 2)])
    sure = np.concatenate(places)
    return sure, labels[sure]
