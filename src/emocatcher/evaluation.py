"""A model folder on one fold's test part → scores."""

from __future__ import annotations

import msgspec
import numpy as np

from emocatcher import metrics, protocols
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import load_features
from emocatcher.errors import ModelError, ProtocolError
from emocatcher.inference import Recognizer
from emocatcher.protocols import Protocol


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What `emocatcher evaluate --json` prints; rates are fractions in 0..1."""

    n_utterances: int
    n_correct: int
    accuracy: float
    unweighted_average_recall: float
    macro_f1: float
    recall: dict[str, float | None]  # None: no utterance of the fold has this emotion
    protocol: str
    fold: int
    speakers_shared: bool  # the model may have heard a speaker of this part in training
    warnings: tuple[str, ...] = ()


def evaluate(
    recognizer: Recognizer, corpus: Corpus, protocol: Protocol, fold: int, *, seed: int = 0, batch_size: int = 64
) -> Evaluation:
    """Score a model on the test part of a fold.

    Args:
        recognizer: the model.
        corpus: the utterances; their emotions must be among the model's labels.
        protocol: the folds.
        fold: which one, counting from 0.
        seed: that the protocol was made with, where it was made on the fly.
        batch_size: utterances at a time; it does not change the answer.

    Raises:
        ProtocolError: if the protocol has no such fold.
        ModelError: if the model knows other emotions.
        AudioError: if a recording cannot be used.
    """
    if not 0 <= fold < len(protocol.folds):
        raise ProtocolError(f"Protocol '{protocol.name}' has no fold {fold}. Allowed: 0 to {len(protocol.folds) - 1}")
    labels = recognizer.config.labels
    utterances = corpus.select(protocol.folds[fold].test)
    unknown = sorted({utterance.emotion for utterance in utterances} - set(labels))
    if unknown:
        raise ModelError(
            f"'{recognizer.config.name}' does not know the emotion '{unknown[0]}' of corpus '{corpus.name}'. "
            f"It knows: {', '.join(labels)}"
        )
    tested = msgspec.structs.replace(corpus, utterances=utterances)
    features = load_features(tested, recognizer.config.settings)
    logits, _ = recognizer.run(features.log_mels([utterance.id for utterance in utterances]), batch_size)
    true = np.array([labels.index(utterance.emotion) for utterance in utterances])
    scores = metrics.score(true, logits.argmax(axis=1), labels)
    return Evaluation(
        **msgspec.structs.asdict(scores),
        protocol=protocol.name,
        fold=fold,
        speakers_shared=_speakers_shared(recognizer, corpus, protocol, fold, seed),
        warnings=_warnings(recognizer, corpus, protocol, fold, seed),
    )


def _same_fold(recognizer: Recognizer, protocol: Protocol, fold: int, seed: int) -> bool:
    """Whether the model was trained on this very fold; a protocol made on the fly is another with every seed."""
    training = recognizer.config.training
    committed = protocol.corpus is not None
    return (training.protocol, training.fold) == (protocol.name, fold) and (committed or training.seed == seed)


def _speakers_shared(recognizer: Recognizer, corpus: Corpus, protocol: Protocol, fold: int, seed: int) -> bool:
    if recognizer.config.training.corpus != corpus.name:
        return False
    # Of another fold of its corpus it is not known whom the model heard; then nothing is claimed.
    same = _same_fold(recognizer, protocol, fold, seed)
    return protocols.speakers_shared(protocol.folds[fold], corpus) if same else True


def _warnings(recognizer: Recognizer, corpus: Corpus, protocol: Protocol, fold: int, seed: int) -> tuple[str, ...]:
    training = recognizer.config.training
    warnings = []
    if training.corpus == corpus.name and not _same_fold(recognizer, protocol, fold, seed):
        trained = training.protocol + ("" if training.fold is None else f", fold {training.fold}, seed {training.seed}")
        warnings.append(f"the model was trained on {trained}: it may have been trained on these very recordings")
    if training.selection == "best-test":
        warnings.append("optimistic: the model's epoch was chosen on the test part")
    return tuple(warnings)
