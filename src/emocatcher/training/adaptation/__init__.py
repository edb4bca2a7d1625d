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
from emocatcher.evaluation.scoring.adaptation import AS_IT_IS, Adaptation
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import ModelError
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle, ModelConfig
from emocatcher.training import encoding, held_out_decisions, long_recordings
from emocatcher.training.adaptation import chosen_recordings, own_answers, steps
from emocatcher.training.adaptation.linear_layer import Layer
from emocatcher.training.dataset import load_features, target_shares
from emocatcher.training.training_pool import TrainingPool

_MOST_ROWS = 5_000  # recordings and copies; many recordings need no copies


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
        corpus: the recordings. If two or more speakers are known, validation is on speakers that were left out. Votes
            are what it is fitted to. It settles on the recordings without a label, if validation gains by that.
        folder: the model folder to write.
        name: of the adapted model.
        labels: of the adapted model, old or new; none for those of the recordings.
        on_note: called with each sentence on what to know.
        on_progress: called with what is done, how much of it, and of how much.

    Returns:
        the adapted model; `config.adaptation` has what each step gave. If no step is better on validation than the
        model as it is, its linear layer is unchanged.

    Raises:
        ModelError: if the model has no encoder, or cannot be read or written, as with a label that is too long.
        CorpusError: if the recordings do not suffice; see `chosen_recordings.choose`.
        AudioError: if a recording cannot be decoded.
    """
    check(model)
    config = model.config
    corpus, notes = chosen_recordings.choose(corpus, labels, config.labels)
    model_folder.check_names(name, corpus.labels)
    folds = chosen_recordings.divide(corpus)
    if folds.validated_by == "recordings":
        who = "No speakers are named"
        if corpus.speakers:
            one = f"All recordings are of the speaker {corpus.speakers[0]}"
            who = one if len(corpus.speakers) == 1 else "Each speaker has recordings of one label alone"
        notes.append(f"{who}, so validation is on other recordings of the same voices: other voices will do worse")
    if long := long_recordings.note(corpus.utterances, "is adapted to as one utterance"):
        notes.append(long)
    for note in notes:
        on_note(note)
    n_copies = min(getattr(config.settings.network, "n_copies", 0), max(_MOST_ROWS // len(corpus) - 1, 0))
    apart = chosen_recordings.without_labels(corpus)
    rows, longest_voiced_s = _statistics(model, corpus, n_copies, on_progress)
    unlabelled = rows[:0, 0] if apart is None else _statistics(model, apart, 0, on_progress)[0][:, 0]
    true = np.array([corpus.labels.index(utterance.emotion) for utterance in corpus], np.int64)
    shares = target_shares(corpus.utterances, corpus.labels)
    speakers = [utterance.speaker for utterance in corpus]
    given = steps.Recordings(
        rows=rows,
        true=true,
        targets=np.eye(len(corpus.labels), dtype=np.float32)[true] if shares is None else shares,
        folds=folds.of,
        speakers=speakers,
        unlabelled=unlabelled,
    )
    start = steps.start_from(_layer(model), config.labels, corpus.labels)
    tried = steps.validate(start, given, config.temperature)
    chosen = steps.best(tried)
    layer = steps.apply(chosen, start, given, config.temperature)
    found, _ = held_out_decisions.calibrate_answers(
        chosen.probabilities, true, folds.of, speakers, otherwise=config.abstain_below
    )

    def confusion(one: steps.Validated) -> tuple[tuple[int, ...], ...]:
        counts = metrics.confusion_matrix(true, one.probabilities.argmax(axis=1), len(corpus.labels))
        return tuple(map(tuple, counts.tolist()))

    counts = np.bincount(true, minlength=len(corpus.labels))
    adaptation = Adaptation(
        model=config.name,
        model_sha256=config.sha256.get(model_folder.ONNX, ""),
        corpus=corpus.name,
        n_recordings=len(corpus),
        n_speakers=len(corpus.speakers) or None,
        n_copies=n_copies,
        n_with_votes=sum(one.votes is not None for one in corpus),
        n_unlabelled=len(unlabelled),
        labels=corpus.labels,
        n_of_label=tuple(counts.tolist()),
        validated_by=folds.validated_by,
        steps=tuple(one.step for one in tried),
        chosen=chosen.step.name,
        confusion=confusion(chosen),
        confusion_before=confusion(tried[0]),
        earlier=_earlier(config),
    )
    adapted = _config(model, corpus, name, adaptation)
    adapted = msgspec.structs.replace(
        adapted,
        temperature=round(config.temperature * found.temperature, 6),
        abstain_below=found.abstain_below or 0.0,
        # The longest of both trainings; it is not known if that of the first is not.
        longest_voiced_s=None if config.longest_voiced_s is None else max(config.longest_voiced_s, longest_voiced_s),
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


def adapt_unlabelled(
    model: Bundle,
    corpus: Corpus,
    folder: Path,
    *,
    name: str,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Bundle:
    """Adapt a model to recordings without labels, by its own answers (see `own_answers`), and write it.

    If the answers are of too few emotions to learn from, its weights stay, and what was chosen is `AS_IT_IS`.

    Args:
        model: an opened model folder with an encoder.
        corpus: the recordings, all with speech.
        folder: the model folder to write.
        name: of the new model.
        on_progress: as for `adapt`.

    Raises:
        ModelError: if the model has no encoder, or cannot be read or written.
        AudioError: if a recording cannot be decoded.
    """
    check(model)
    config = model.config
    rows, _ = _statistics(model, corpus, 0, on_progress)
    start = _layer(model)
    layer = own_answers.fit(start, rows[:, 0], config.temperature)
    adaptation = Adaptation(
        model=config.name,
        model_sha256=config.sha256.get(model_folder.ONNX, ""),
        corpus=corpus.name,
        n_recordings=len(corpus),
        labels=config.labels,
        validated_by="nothing",
        chosen=AS_IT_IS if layer is start else "its own answers",
        earlier=_earlier(config),
    )
    adapted = msgspec.structs.replace(config, name=name, version=__version__, adaptation=adaptation)
    return _write(model, adapted, layer, folder)


def _earlier(config: ModelConfig) -> tuple[Adaptation, ...]:
    """Return the adaptations of a model that is adapted again, the first one first."""
    found = config.adaptation
    return () if found is None else (*found.earlier, msgspec.structs.replace(found, earlier=()))


def _layer(model: Bundle) -> Layer:
    weights = model.weights()
    return Layer(weights["output.weight"], weights["output.bias"])


def _statistics(
    model: Bundle, corpus: Corpus, n_copies: int, on_progress: Callable[[str, int, int], None]
) -> tuple[NDArray[np.float32], float]:
    """Return standardised statistics, shape (n_recordings, n_copies + 1, n_statistics), and the longest voiced span."""
    settings, weights = model.config.settings, model.weights()
    features = load_features(corpus, settings, on_progress=lambda *at: on_progress("features", *at))
    with TrainingPool(process_setup.usable_cores(), _warm_up, lambda _: None) as pool:
        encoded = encoding.encode(
            pool, corpus, features, settings,
            model=model, n_copies=n_copies, on_progress=lambda *at: on_progress("encoding", *at),
        )  # fmt: skip
    assert encoded is not None  # noqa: S101 (the model has an encoder)
    rows = np.stack([clip[:, 0] for clip in encoded.all_copies([one.id for one in corpus])])
    standardised = np.asarray((rows - weights["mean"]) / weights["deviation"], np.float32)
    return standardised.reshape(len(corpus), n_copies + 1, -1), features.longest_s(settings.front_end)


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
    is_int8 = stored_weights.is_int8(model)
    graph = to_onnx(weights, config.settings, config.labels, config.dimensions, int8=is_int8)
    kept = {name: value for name, value in weights.items() if not name.startswith("encoder.")}
    return model_folder.write(folder, config, kept, graph)


def _warm_up() -> None:
    """Import what encoding needs."""
    from emocatcher.models import onnx_session  # noqa: F401
