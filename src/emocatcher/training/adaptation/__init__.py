"""Adapt a model to a few labelled recordings: its encoder stays, its linear layer moves as far as validation justifies.

Fine-tuning the encoder on so few recordings did not help (`benchmarks/RESULTS.md`), so what is chosen is how strongly
the linear layer is held to its start. It takes seconds, needs no encoder but the one in the model folder, and the same
recordings give the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import __version__
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.adaptation import Adaptation, Step
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import ModelError
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle, ModelConfig
from emocatcher.training import encoding, held_out_decisions
from emocatcher.training.adaptation import chosen_recordings, linear_layer
from emocatcher.training.adaptation.linear_layer import Layer
from emocatcher.training.dataset import load_features
from emocatcher.training.training_pool import TrainingPool

# The penalty of a step is so many recordings' worth: divided by their number, it is the penalty on their mean loss.
_PULLS = {"the biases alone": np.inf, "a strong pull": 150.0, "a medium pull": 15.0, "a weak pull": 1.5}
AS_IT_IS = "as it is"
_MOST_ROWS = 5_000  # recordings and copies; many recordings need no copies
_LEAST_PROBABILITY = 1e-7
# Of what settling subtracts, for recordings that will be of other voices: all of it does harm on some corpora.
_SHARE_FOR_OTHERS = 0.25


class _Validated(msgspec.Struct, frozen=True):
    """The answers of a step for recordings that it was not fitted to."""

    step: Step
    probabilities: NDArray[np.float64]  # (n_recordings, n_labels)
    pull: float | None  # None: the model as it is


def adapt(
    model: Bundle,
    corpus: Corpus,
    folder: Path,
    *,
    name: str,
    labels: tuple[str, ...] = (),
    on_note: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Bundle:
    """Adapt a model to labelled recordings, and write it as a model folder.

    Args:
        model: an opened model folder with an encoder.
        corpus: the recordings. If two or more speakers are known, validation is on speakers that were left out.
        folder: the model folder to write.
        name: of the adapted model.
        labels: of the adapted model, old or new; none for those of the recordings.
        on_note: called with each sentence on what to know.
        on_progress: called with what is done, how much of it, and of how much.

    Returns:
        the adapted model; `config.adaptation` has what each step gave. If no step is better on validation than the
        model as it is, its linear layer is unchanged.

    Raises:
        ModelError: if the model has no encoder, or cannot be read or written.
        CorpusError: if the recordings do not suffice; see `chosen_recordings.choose`.
        AudioError: if a recording cannot be decoded.
    """
    check(model)
    config = model.config
    corpus, notes = chosen_recordings.choose(corpus, labels, config.labels)
    folds = chosen_recordings.divide(corpus)
    if folds.validated_by == "recordings":
        who = f"All recordings are of the speaker {corpus.speakers[0]}" if corpus.speakers else "No speakers are named"
        notes.append(f"{who}, so validation is on other recordings of the same voices: other voices will do worse")
    for note in notes:
        on_note(note)
    ids = [utterance.id for utterance in corpus]
    features = load_features(corpus, config.settings, on_progress=lambda *at: on_progress("features", *at))
    n_copies = min(getattr(config.settings.network, "n_copies", 0), max(_MOST_ROWS // len(corpus) - 1, 0))
    with TrainingPool(process_setup.usable_cores(), _warm_up, lambda _: None) as pool:
        encoded = encoding.encode(
            pool, corpus, features, config.settings,
            model=model, n_copies=n_copies, on_progress=lambda *at: on_progress("encoding", *at),
        )  # fmt: skip
    assert encoded is not None  # noqa: S101 (the model has an encoder)
    weights = model.weights()
    rows = np.stack([clip[:, 0] for clip in encoded.all_copies(ids)]).reshape(len(ids), n_copies + 1, -1)
    rows = (rows - weights["mean"]) / weights["deviation"]
    true = np.array([corpus.labels.index(utterance.emotion) for utterance in corpus], np.int64)
    start = _start(Layer(weights["output.weight"], weights["output.bias"]), config.labels, corpus.labels)
    tried = _validate(start, rows, true, corpus, folds.of, config.temperature)
    chosen = _best(tried)
    layer = start if chosen.pull is None else _fit(start, rows, true, chosen.pull)
    speakers = [utterance.speaker for utterance in corpus]
    found, _ = held_out_decisions.calibrate_answers(
        chosen.probabilities, true, folds.of, speakers, otherwise=config.abstain_below
    )

    def confusion(one: _Validated) -> tuple[tuple[int, ...], ...]:
        counts = metrics.confusion_matrix(true, one.probabilities.argmax(axis=1), len(corpus.labels))
        return tuple(map(tuple, counts.tolist()))

    counts = np.bincount(true, minlength=len(corpus.labels))
    adaptation = Adaptation(
        model=config.name,
        model_sha256=config.sha256.get(model_folder.ONNX, ""),
        corpus=corpus.name,
        n_recordings=len(ids),
        n_speakers=len(corpus.speakers) or None,
        n_copies=n_copies,
        labels=corpus.labels,
        n_of_label=tuple(counts.tolist()),
        validated_by=folds.validated_by,
        steps=tuple(one.step for one in tried),
        chosen=chosen.step.name,
        confusion=confusion(chosen),
        confusion_before=confusion(tried[0]),
    )
    adapted = _config(model, corpus, name, adaptation)
    adapted = msgspec.structs.replace(
        adapted,
        temperature=round(config.temperature * found.temperature, 6),
        abstain_below=found.abstain_below or 0.0,
        # The longest of both trainings; it is not known if that of the first is not.
        longest_voiced_s=None
        if config.longest_voiced_s is None
        else max(config.longest_voiced_s, features.longest_s(config.settings.front_end)),
    )
    return _write(model, adapted, layer, folder)


def check(model: Bundle) -> None:
    """Check that a model can be adapted.

    Raises:
        ModelError: if it has no encoder.
    """
    if not model.config.settings.encoder:
        raise ModelError(
            f"{model.config.name} has no encoder, and only models of the preset emocatcher-3 can be adapted. Train "
            "another one on your recordings: emocatcher train"
        )


def shift(model: Bundle, by: tuple[float, ...], n_recordings: int, corpus: str, folder: Path, *, name: str) -> Bundle:
    """Write a model that has settled a little on recordings as a model folder, for recordings of other voices.

    Args:
        model: an opened model folder with an encoder.
        by: what settling subtracts from the log-probabilities; a quarter of it is subtracted here.
        n_recordings: on how many it settled.
        corpus: the name of the recordings.
        folder: the model folder to write.
        name: of the new model.

    Raises:
        ModelError: if the model has no encoder, or cannot be read or written.
    """
    check(model)
    weights, config = model.weights(), model.config
    bias = weights["output.bias"] - np.asarray(by, np.float32) * np.float32(_SHARE_FOR_OTHERS * config.temperature)
    adaptation = Adaptation(
        model=config.name,
        model_sha256=config.sha256.get(model_folder.ONNX, ""),
        corpus=corpus,
        n_recordings=n_recordings,
        labels=config.labels,
        validated_by="nothing",
        chosen="settled",
    )
    adapted = msgspec.structs.replace(config, name=name, version=__version__, adaptation=adaptation)
    return _write(model, adapted, Layer(weights["output.weight"], bias), folder)


def _start(layer: Layer, known: tuple[str, ...], labels: tuple[str, ...]) -> Layer:
    """Take the rows of the labels that the model knows; a new label starts between all of them."""
    rows = [known.index(label) if label in known else -1 for label in labels]
    weight = np.vstack([layer.weight, layer.weight.mean(axis=0)])[rows]
    return Layer(weight.astype(np.float32), np.append(layer.bias, layer.bias.mean())[rows].astype(np.float32))


def _fit(start: Layer, rows: NDArray[np.float32], true: NDArray[np.int64], pull: float) -> Layer:
    """Fit to recordings and copies, shape (n_recordings, n_copies + 1, n_statistics), all labels of equal weight."""
    n, n_each, _ = rows.shape
    targets = np.eye(len(start.bias), dtype=np.float32)[true]
    weights = 1.0 / np.bincount(true, minlength=len(start.bias))[true]
    return linear_layer.fit(
        start, rows.reshape(n * n_each, -1), targets.repeat(n_each, axis=0), weights.repeat(n_each), pull / n
    )


def _validate(
    start: Layer,
    rows: NDArray[np.float32],
    true: NDArray[np.int64],
    corpus: Corpus,
    folds: NDArray[np.int64],
    temperature: float,
) -> list[_Validated]:
    """Answer for every recording by a layer that was fitted to the other folds, for each step."""
    speakers, n_labels = [utterance.speaker for utterance in corpus], len(start.bias)
    tried = []
    for name, pull in ({AS_IT_IS: None} | _PULLS).items():
        logits = np.empty((len(true), n_labels))
        for fold in np.unique(folds):
            here = folds == fold
            layer = start if pull is None else _fit(start, rows[~here], true[~here], pull)
            logits[here] = layer.logits(rows[here, 0])
        probabilities = softmax(logits, temperature)
        bounds = metrics.bootstrap_intervals(true, probabilities.argmax(axis=1), speakers, n_labels)
        counts = metrics.confusion_matrix(true, probabilities.argmax(axis=1), n_labels)
        losses = -np.log(np.maximum(probabilities[np.arange(len(true)), true], _LEAST_PROBABILITY))
        step = Step(
            name=name,
            unweighted_average_recall=metrics.unweighted_average_recall_score(counts),
            interval=bounds.unweighted_average_recall,
            accuracy=metrics.accuracy_score(counts),
            log_loss=float(np.mean([losses[true == label].mean() for label in np.unique(true)])),
        )
        tried.append(_Validated(step, probabilities, pull))
    return tried


def _best(tried: list[_Validated]) -> _Validated:
    """Return the step of the lowest loss; the model as it is, if it recognises as much."""
    before, best = tried[0], min(tried, key=lambda one: one.step.log_loss)
    gains = best.step.unweighted_average_recall > before.step.unweighted_average_recall
    return best if gains else before


def _config(model: Bundle, corpus: Corpus, name: str, adaptation: Adaptation) -> ModelConfig:
    config = model.config
    n_statistics = (
        2 * config.settings.encoder.n_layers * config.settings.encoder.width if config.settings.encoder else 0
    )
    n_more = (len(corpus.labels) - len(config.labels)) * (n_statistics + 1)
    before, after = adaptation.steps[0], next(step for step in adaptation.steps if step.name == adaptation.chosen)
    scores = {
        "unweighted_average_recall": after.unweighted_average_recall,
        "unweighted_average_recall_before": before.unweighted_average_recall,
        "accuracy": after.accuracy,
    }
    training = model_folder.Training(
        corpus=f"{config.training.corpus}+{corpus.name}",
        licence=f"{config.training.licence}; {corpus.name}: {corpus.licence}",
        protocol=f"adapted from {config.name}",
        fold=None,
        speakers_shared={"speakers": False, "recordings": True if corpus.speakers else None}[adaptation.validated_by],
        selection="last",
        epoch=None,
        seed=None,
        scores=scores,
        synthetic=config.training.synthetic or corpus.synthetic,
    )
    return msgspec.structs.replace(
        config, name=name, version=__version__, labels=corpus.labels, training=training,
        n_parameters=config.n_parameters + n_more, adaptation=adaptation,
    )  # fmt: skip


def _write(model: Bundle, config: ModelConfig, layer: Layer, folder: Path) -> Bundle:
    from emocatcher.models.onnx_graphs import stored_weights, to_onnx

    weights = stored_weights.read(model) | {"output.weight": layer.weight, "output.bias": layer.bias}
    graph = to_onnx(weights, config.settings, config.labels, int8=stored_weights.is_int8(model))
    kept = {name: value for name, value in weights.items() if not name.startswith("encoder.")}
    return model_folder.write(folder, config, kept, graph)


def _warm_up() -> None:
    """Import what encoding needs."""
    from emocatcher.models import onnx_session  # noqa: F401
