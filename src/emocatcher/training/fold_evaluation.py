"""Score a model on the test part of a fold."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.audio.channels import Channels, index_of
from emocatcher.corpora import cards, joined, votes
from emocatcher.corpora.table import Corpus, Utterance, ratings
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring import concordance, metrics, speaker_groups
from emocatcher.evaluation.scoring.run_result import DimensionScore, SpeakerGroup
from emocatcher.foundation.dimensions import scaled, unscaled
from emocatcher.foundation.errors import ModelError, ProtocolError, SettingError
from emocatcher.foundation.labels import spelling
from emocatcher.models.model_folder import ALL_RECORDINGS, Training
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import LONG_S
from emocatcher.training import given_answers


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The output of `emocatcher evaluate --json`; rates are fractions, 0 to 1."""

    n_utterances: int
    n_correct: int
    accuracy: float
    unweighted_average_recall: float
    macro_f1: float
    recall: dict[str, float | None]  # None: no utterance of the fold has this emotion
    protocol: str
    fold: int
    speakers_shared: bool | None  # whether the model was trained on a speaker of this part; None: not known
    trained_on: str  # the known facts about the model's training recordings, in one phrase
    n_test_trained_on: int | None  # recordings of this part that the model was trained on; None: unknown
    speaker_groups: tuple[SpeakerGroup, ...] = ()  # of the test part
    dimensions: tuple[DimensionScore, ...] = ()  # that the model estimates and the corpus has ratings of
    n_long: int = 0  # recordings of more than 10 s, which were judged window by window, as by `predict`
    n_silent: int = 0  # of these, those without speech: they have no answer, which counts as wrong
    warnings: tuple[str, ...] = ()


def evaluate(
    recognizer: Recognizer,
    corpus: Corpus,
    protocol: Protocol,
    fold: int,
    *,
    seed: int = 0,
    batch_size: int = 64,
    channels: Channels = "mix",
    emotions: Sequence[str] | None = None,
) -> Evaluation:
    """Score a model on the test part of a fold.

    Args:
        recognizer: the model.
        corpus: the utterances; their emotions must be among the model's labels.
        protocol: the folds.
        fold: the fold's number, from 0.
        seed: the seed of a protocol that is made on the fly.
        batch_size: utterances in a batch; it does not change the scores.
        channels: as for `Recognizer.predict`.
        emotions: that the model may answer with, as for `Recognizer.only`; None for all.

    Raises:
        ProtocolError: if the protocol has no such fold.
        SettingError: if `channels` or `emotions` is not allowed, or a recording has an emotion that is not among them.
        ModelError: if an emotion of the corpus is not among the model's labels.
        AudioError: if a recording cannot be decoded.
    """
    if not 0 <= fold < len(protocol.folds):
        raise ProtocolError(f"Protocol '{protocol.name}' has no fold {fold}. Allowed: 0 to {len(protocol.folds) - 1}")
    corpus = corpus.of_channel(index_of(channels))
    one = protocol.folds[fold]
    utterances = corpus.select(one.test)
    named = in_words_of(recognizer, corpus, [one.emotion(utterance) for utterance in utterances])
    if emotions is not None:
        recognizer = recognizer.only(emotions)
        _check_among(recognizer.config.labels, named)
    labels = recognizer.config.labels
    true = np.array([labels.index(emotion) for emotion in named])
    between = {spelling(label, labels) for label in one.between.classes} if one.between else set(labels)
    classes = [label for label in labels if label in between]
    answers = given_answers.give(recognizer, corpus, utterances, classes, batch_size)
    predicted = answers.predicted
    scores = metrics.score(true, predicted, labels)
    answered = answers.is_sure if recognizer.config.abstain_below else None
    training = recognizer.config.training
    trained = trained_on(training, corpus, protocol, seed)
    n_trained = None if trained is None else sum(utterance.id in trained for utterance in utterances)
    compared = msgspec.structs.replace(one, train=tuple(trained or ()), valid=())
    warnings = []
    if answers.n_long:
        warnings.append(
            f"{votes.recordings(answers.n_long, 'is', 'are')} longer than {LONG_S:g} s, and judged window by window, "
            "as by `predict`"
        )
    if answers.n_silent:
        without = votes.recordings(answers.n_silent, "has", "have")
        warnings.append(f"{without} no speech: there is no answer, as by `predict`, which counts as wrong")
    if n_trained is None:
        warnings.append("it is unknown which recordings of this corpus the model was trained on: perhaps on these")
    elif n_trained:
        warnings.append(f"the model was trained on {n_trained} of these {len(utterances)} recordings")
    if training.selection == "best-test":
        warnings.append("optimistic: the model's epoch was chosen on the test part")
    return Evaluation(
        **msgspec.structs.asdict(scores),
        protocol=protocol.name,
        fold=fold,
        trained_on=_provenance(training, corpus, protocol, fold, None if trained is None else bool(n_trained)),
        n_test_trained_on=n_trained,
        speakers_shared=_shares_speakers(training, corpus, compared, n_trained),
        speaker_groups=speaker_groups.score(
            utterances, true, predicted, len(labels) + bool(answers.n_silent), answered=answered, corpus=corpus.name
        ),
        n_long=answers.n_long,
        n_silent=answers.n_silent,
        dimensions=_score_dimensions(recognizer, corpus, utterances, answers.dimensions),
        warnings=tuple(warnings),
    )


def _score_dimensions(
    recognizer: Recognizer, corpus: Corpus, utterances: Sequence[Utterance], estimated: NDArray[np.float32]
) -> tuple[DimensionScore, ...]:
    """Score the dimensions that both have, in the units of the model."""
    theirs = {one.name: one for one in corpus.dimensions}
    answered = np.flatnonzero(~np.isnan(estimated).any(axis=1))
    utterances, estimated = [utterances[i] for i in answered.tolist()], estimated[answered]
    shared = [i for i, one in enumerate(recognizer.config.dimensions) if one.name in theirs]
    ours = [recognizer.config.dimensions[i] for i in shared]
    given = [theirs[one.name] for one in ours]
    true = ratings(utterances, given)
    if given != ours:
        true = unscaled(scaled(true, given), ours)
    return concordance.score(true, estimated[:, shared], [one.speaker for one in utterances], ours)


def in_words_of(recognizer: Recognizer, corpus: Corpus, emotions: Sequence[str]) -> list[str]:
    """Return the emotions of a corpus in the spelling of a model's labels.

    Raises:
        ModelError: if there is one.
    """
    labels = recognizer.config.labels
    spelt = {emotion: spelling(emotion, labels) for emotion in set(emotions)}
    if unknown := sorted(set(spelt.values()) - set(labels)):
        raise ModelError(
            f"'{recognizer.config.name}' has no label for the emotion '{unknown[0]}' of corpus '{corpus.name}'. "
            f"Its labels: {', '.join(labels)}. Name a corpus or a model with the same emotions"
        )
    return [spelt[emotion] for emotion in emotions]


def _check_among(labels: Sequence[str], emotions: Sequence[str]) -> None:
    """Refuse recordings that the answers which are left cannot be right on."""
    if others := sorted(set(emotions).difference(labels)):
        n = sum(emotion not in labels for emotion in emotions)
        raise SettingError(
            f"{votes.recordings(n, 'is', 'are')} labelled {', '.join(others)}, which no answer can be: the emotions "
            f"are restricted to {', '.join(labels)}. Name these too, or leave the recordings out"
        )


def trained_on(training: Training, corpus: Corpus, protocol: Protocol, seed: int) -> frozenset[str] | None:
    """Return the ids of the corpus's recordings that a model was trained or selected on; None if unknown.

    A model of several corpora was trained on each of them; a corpus that is joined from several may contain the
    model's.
    """
    shared = _shared_corpora(training, corpus)
    if not shared:
        return frozenset()
    known = frozenset(utterance.id for utterance in corpus if (utterance.corpus or corpus.name) in shared)
    if training.protocol == ALL_RECORDINGS:
        return known
    if training.corpus != corpus.name or training.fold is None:
        return None
    # A protocol that is made on the fly differs with the seed.
    same = training.protocol == protocol.name and (protocol.corpus is not None or training.seed == seed)
    if not same and training.seed is None:
        return None
    try:
        folds = (protocol if same else protocols.load(training.protocol, corpus, training.seed or 0)).folds
        return known.intersection((*folds[training.fold].train, *folds[training.fold].valid))
    except (ProtocolError, IndexError):
        return None


def _provenance(training: Training, corpus: Corpus, protocol: Protocol, fold: int, trained: bool | None) -> str:
    """Describe a model's training recordings in one phrase."""
    if not _shared_corpora(training, corpus):
        return f"another corpus, '{training.corpus}'"
    named = "this corpus" if training.corpus == corpus.name else f"'{training.corpus}'"
    if training.protocol == ALL_RECORDINGS:
        return f"all recordings of {named}"
    if trained is None:
        return f"unknown recordings of {named} ({training.protocol})"
    if training.protocol == protocol.name and training.fold == fold and not trained:
        return "the training part of this fold"
    kind = "another fold" if training.protocol == protocol.name else "another protocol"
    return f"{kind}, {training.protocol}, fold {training.fold}, seed {training.seed}"


def _shared_corpora(training: Training, corpus: Corpus) -> frozenset[str]:
    """Return the names of the corpora that are both in the model's and in the tested corpus."""
    if training.corpus == corpus.name:
        return frozenset(utterance.corpus or corpus.name for utterance in corpus)
    return frozenset(joined.names(training.corpus)).intersection(joined.names(corpus.name))


def _shares_speakers(training: Training, corpus: Corpus, fold: protocols.Fold, n_trained: int | None) -> bool | None:
    """Whether the model was trained on a speaker of the test part of a fold, whose training part is the model's."""
    tested = corpus.select(fold.test)
    if n_trained or _knows_people(training, corpus, tested):
        return True
    if n_trained is None or any(utterance.speaker is None for utterance in tested):
        return None
    return bool(fold.train) and protocols.speakers_shared(fold, corpus)


def _knows_people(training: Training, corpus: Corpus, tested: Sequence[Utterance]) -> bool:
    """Whether the model's corpora have the same people as a tested corpus that is not one of them."""
    own = joined.names(training.corpus)
    others = {utterance.corpus or corpus.name for utterance in tested}.difference(own, (training.corpus,))
    return not {_people(name) for name in others}.isdisjoint(map(_people, own))


def _people(name: str) -> str:
    card = cards.find(name)
    return (card.same_speakers_as if card else "") or name
