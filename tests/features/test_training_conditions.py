"""Recordings unlike the training recordings are detected, and training recordings are not."""

import msgspec
import numpy as np
import pytest

from emocatcher import corpora
from emocatcher.features import training_conditions
from emocatcher.features.training_conditions import Conditions, Judge
from emocatcher.foundation.settings import load_preset
from emocatcher.training import dataset


def clips(n, seed, tilt=0.0):
    random = np.random.default_rng(seed)
    bands = np.linspace(0, 1, 64)[:, None]
    for _ in range(n):
        n_frames = random.integers(15, 50)
        shape = -30 - 20 * bands + random.normal(0, 4, (64, 1)) + tilt * bands
        yield (shape + random.normal(0, 6, (64, n_frames)) + random.normal(0, 5, (1, n_frames))).astype(np.float32)


def test_the_training_recordings_are_inside_and_others_are_not():
    train = list(clips(400, 0))
    judge = Judge(training_conditions.fit(train, 0.06))
    assert np.mean([judge.outside(clip) for clip in train]) < 0.01
    assert np.mean([judge.outside(clip) for clip in clips(200, 1)]) < 0.05
    assert np.mean([judge.outside(clip) for clip in clips(200, 2, tilt=80.0)]) > 0.9


def test_the_longest_voiced_span_is_stored():
    train = [np.zeros((64, n), np.float32) + np.arange(n) for n in (10, 33, 20)]
    assert training_conditions.fit(train, 0.1).longest_voiced_s == pytest.approx(3.3)


def test_conditions_are_unchanged_by_json():
    train = list(clips(60, 0))
    found = training_conditions.fit(train, 0.06)
    again = msgspec.json.decode(msgspec.json.encode(found), type=Conditions)
    assert again == found
    assert Judge(again).distance(train[0]) == Judge(found).distance(train[0])


def test_the_distance_does_not_depend_on_the_level():
    train = list(clips(60, 0))
    judge = Judge(training_conditions.fit(train, 0.06))
    assert judge.distance(train[0] - 15) == pytest.approx(judge.distance(train[0]), abs=1e-2)


def test_one_clip_is_refused():
    with pytest.raises(ValueError, match="two"):
        training_conditions.fit(list(clips(1, 0)), 0.06)


@pytest.mark.slow
@pytest.mark.corpus
def test_unseen_speakers_are_rarely_outside_the_conditions(ravdess_dir):
    corpus, cabg = corpora.load("ravdess"), load_preset("cabg")
    table = dataset.load_features(corpus, cabg)
    speakers = sorted({utterance.speaker for utterance in corpus.utterances})
    held_out = set(speakers[::4])
    seen, unseen = [], []
    for utterance in corpus.utterances:
        (unseen if utterance.speaker in held_out else seen).append(table.clip(utterance.id))
    judge = Judge(training_conditions.fit(seen, cabg.front_end.frame_period_s))
    assert np.mean([judge.outside(clip) for clip in unseen]) <= 0.03
