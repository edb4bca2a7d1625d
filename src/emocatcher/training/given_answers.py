"""The answers that a model gives for labelled recordings: those of `predict`, for long recordings too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import AudioError
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.training import long_recordings
from emocatcher.training.dataset import load_features


class Answers(NamedTuple):
    """The answers for some utterances, in their order."""

    predicted: NDArray[np.int64]  # (n_utterances,), positions in the model's labels; `n_labels` for no answer
    is_sure: NDArray[np.bool_]  # (n_utterances,), whether the model does not abstain
    dimensions: NDArray[np.float32]  # (n_utterances, n_dimensions), in the model's units; NaN without an answer
    n_long: int  # utterances that were judged window by window
    n_silent: int  # of these, those without speech, which have no answer


def give(
    recognizer: Recognizer, corpus: Corpus, utterances: Sequence[Utterance], classes: Sequence[str], batch_size: int
) -> Answers:
    """Recognise utterances.

    One of up to 10 s always gets an answer, as in training. A longer one gets that of `Recognizer.predict`, which has
    none without speech.

    Args:
        recognizer: the model.
        corpus: of the utterances.
        utterances: some of the corpus.
        classes: labels of the model, two or more, that may be answered.
        batch_size: utterances in a batch; it does not change the answers.

    Raises:
        AudioError: if a recording cannot be decoded.
    """
    labels, threshold = recognizer.config.labels, recognizer.config.abstain_below
    names = [one.name for one in recognizer.config.dimensions]
    narrowed = recognizer if len(classes) == len(labels) else recognizer.only(classes)
    predicted = np.full(len(utterances), len(labels), np.int64)
    is_sure = np.zeros(len(utterances), bool)
    dimensions = np.full((len(utterances), len(names)), np.nan, np.float32)
    long = long_recordings.find(utterances)
    short = [i for i, one in enumerate(utterances) if one.id not in long]
    if short:
        chosen = tuple(utterances[i] for i in short)
        features = load_features(msgspec.structs.replace(corpus, utterances=chosen), recognizer.config.settings)
        answers = narrowed.run(features.clips([one.id for one in chosen]), batch_size)
        probabilities = narrowed.probabilities(answers.logits)
        places = np.array([labels.index(label) for label in narrowed.config.labels])
        predicted[short] = places[probabilities.argmax(axis=1)]
        is_sure[short] = probabilities.max(axis=1) >= threshold
        dimensions[short] = answers.dimensions
    n_silent = 0
    for i, one in enumerate(utterances):
        if one.id not in long:
            continue
        answer = _predict(narrowed, one)
        if answer.emotion is None:
            n_silent += 1
            continue
        predicted[i], is_sure[i] = labels.index(answer.emotion), not answer.abstain
        dimensions[i] = [answer.dimensions[name].value for name in names]
    return Answers(predicted, is_sure, dimensions, len(long), n_silent)


def _predict(recognizer: Recognizer, utterance: Utterance) -> Prediction:
    channels = "mix" if utterance.channel is None else utterance.channel + 1
    try:
        if utterance.start_s is None and utterance.end_s is None:
            return recognizer.predict(str(utterance.path), channels=channels)
        part = audio.read(utterance.path, start_s=utterance.start_s, end_s=utterance.end_s, channel=utterance.channel)
        return recognizer.predict((part.waveform, part.sample_rate))
    except AudioError as error:
        raise type(error)(utterance.path, error.reason) from error
