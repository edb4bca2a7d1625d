"""Fit the linear layer of a model by each step, and score each on recordings that it was not fitted to."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.adaptation import AS_IT_IS, Step
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.recognition import settling
from emocatcher.training.adaptation import linear_layer
from emocatcher.training.adaptation.linear_layer import Layer

# The penalty of a step is so many recordings' worth: divided by their number, it is the penalty on their mean loss.
_PULLS = {"the biases alone": np.inf, "a strong pull": 150.0, "a medium pull": 15.0, "a weak pull": 1.5}
_LEAST_PROBABILITY = 1e-7
# Of what settling subtracts, for recordings that will be of other voices: all of it does harm on some corpora.
_SHARE_FOR_OTHERS = 0.5


class Recordings(NamedTuple):
    """What a layer is fitted to, as standardised statistics."""

    rows: NDArray[np.float32]  # (n_recordings, n_copies + 1, n_statistics)
    true: NDArray[np.int64]  # (n_recordings,), positions of the labels
    targets: NDArray[np.float32]  # (n_recordings, n_labels), shares of the votes, or all for the label
    folds: NDArray[np.int64]  # (n_recordings,), the fold in which each is tested
    speakers: list[str | None]
    unlabelled: NDArray[np.float32]  # (n_unlabelled, n_statistics), of recordings to settle on; may be empty


class Validated(msgspec.Struct, frozen=True):
    """The answers of a step for recordings that it was not fitted to."""

    step: Step
    probabilities: NDArray[np.float64]  # (n_recordings, n_labels)
    pull: float | None  # None: the model as it is
    settles: bool = False  # on the recordings without labels


def start_from(layer: Layer, known: tuple[str, ...], labels: tuple[str, ...]) -> Layer:
    """Take the rows of the labels that the model knows; a new label starts between all of them."""
    rows = [known.index(label) if label in known else -1 for label in labels]
    weight = np.vstack([layer.weight, layer.weight.mean(axis=0)])[rows]
    return Layer(weight.astype(np.float32), np.append(layer.bias, layer.bias.mean())[rows].astype(np.float32))


def validate(start: Layer, given: Recordings, temperature: float) -> list[Validated]:
    """Answer for every recording by a layer that was fitted to the other folds, for each step.

    Where there are recordings without labels, the last step is the best of the others, settled on them.
    """
    tried = [_validate(start, given, temperature, name, pull) for name, pull in ({AS_IT_IS: None} | _PULLS).items()]
    if len(given.unlabelled):
        found = best(tried)
        name = f"{found.step.name}, settled"
        tried.append(_validate(start, given, temperature, name, found.pull, settles=True))
    return tried


def best(tried: list[Validated]) -> Validated:
    """Return the step of the lowest loss; the model as it is, if it recognises as much."""
    before, found = tried[0], min(tried, key=lambda one: one.step.log_loss)
    gains = found.step.unweighted_average_recall > before.step.unweighted_average_recall
    return found if gains else before


def apply(step: Validated, start: Layer, given: Recordings, temperature: float) -> Layer:
    """Fit a layer to all recordings by a step."""
    everything = np.ones(len(given.true), bool)
    return _layer(start, given, everything, temperature, step.pull, settles=step.settles)


def _layer(
    start: Layer, given: Recordings, fitted: NDArray[np.bool_], temperature: float, pull: float | None, *, settles: bool
) -> Layer:
    layer = start if pull is None else _fit(start, given, fitted, pull)
    if not settles:
        return layer
    answers = softmax(layer.logits(given.unlabelled), temperature)
    shift = _SHARE_FOR_OTHERS * temperature * settling.common_shift(answers)
    return Layer(layer.weight, layer.bias - shift.astype(np.float32))


def _fit(start: Layer, given: Recordings, fitted: NDArray[np.bool_], pull: float) -> Layer:
    """Fit to some recordings and their copies, all labels of equal weight."""
    rows, true = given.rows[fitted], given.true[fitted]
    n, n_each, _ = rows.shape
    weights = 1.0 / np.bincount(true, minlength=len(start.bias))[true]
    return linear_layer.fit(
        start,
        rows.reshape(n * n_each, -1),
        given.targets[fitted].repeat(n_each, axis=0),
        weights.repeat(n_each),
        pull / n,
    )


def _validate(
    start: Layer, given: Recordings, temperature: float, name: str, pull: float | None, *, settles: bool = False
) -> Validated:
    true, n_labels = given.true, len(start.bias)
    logits = np.empty((len(true), n_labels))
    for fold in np.unique(given.folds):
        here = given.folds == fold
        layer = _layer(start, given, ~here, temperature, pull, settles=settles)
        logits[here] = layer.logits(given.rows[here, 0])
    probabilities = softmax(logits, temperature)
    bounds = metrics.bootstrap_intervals(true, probabilities.argmax(axis=1), given.speakers, n_labels)
    counts = metrics.confusion_matrix(true, probabilities.argmax(axis=1), n_labels)
    losses = -np.log(np.maximum(probabilities[np.arange(len(true)), true], _LEAST_PROBABILITY))
    step = Step(
        name=name,
        unweighted_average_recall=metrics.unweighted_average_recall_score(counts),
        interval=bounds.unweighted_average_recall,
        accuracy=metrics.accuracy_score(counts),
        log_loss=float(np.mean([losses[true == label].mean() for label in np.unique(true)])),
    )
    return Validated(step, probabilities, pull, settles)
