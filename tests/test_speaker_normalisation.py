"""Each speaker by that speaker's own recordings."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from emocatcher.audit.recipe import beyond_training
from emocatcher.config import load_preset
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import load_features
from emocatcher.errors import ProtocolError
from emocatcher.speaker_normalisation import by_speaker

RECIPE = load_preset("emocatcher-2")


def test_every_speakers_bands_are_standard_and_nobody_elses_count(voices: Corpus) -> None:
    features = load_features(voices, RECIPE)
    table = by_speaker(features, voices, RECIPE)
    assert table.ids == features.ids
    for speaker in voices.speakers:
        ids = [utterance.id for utterance in voices if utterance.speaker == speaker]
        frames = np.concatenate(table.log_mels(ids), axis=1)
        frames, (octaves, periodicity) = np.split(frames, [RECIPE.front_end.n_mels])
        assert np.average(octaves, weights=periodicity) == pytest.approx(0.0, abs=1e-3)
        before = np.concatenate(features.log_mels(ids), axis=1)
        np.testing.assert_array_equal(periodicity, before[-1])
        assert np.ptp(octaves - before[-2]) < 1e-4  # all of a speaker's frames move alike
        whole = np.abs(frames).max(axis=1) < 75.0  # nothing was cut
        np.testing.assert_allclose(frames.mean(axis=1)[whole], 0.0, atol=1e-2)
        moves = whole & (frames.std(axis=1) > 1.0)
        np.testing.assert_allclose(frames.std(axis=1)[moves], 15.0, atol=1e-2)
        assert moves.sum() > 30


def test_a_band_that_is_silent_but_for_a_moment_stays_within_bounds(voices: Corpus) -> None:
    """Its one loud frame is hundreds of deviations away: as power, more than a number can hold."""
    features = load_features(voices, RECIPE)
    features.rows[:, 3] = -100.0
    features.rows[7, 3] = 0.0
    rows = by_speaker(features, voices, RECIPE).rows
    assert rows[7, 3] == 75.0
    assert np.abs(rows[:, : RECIPE.front_end.n_mels]).max() <= 75.0


def test_the_audit_says_whose_recordings_it_takes() -> None:
    assert beyond_training(RECIPE) == []
    with_it = load_preset("emocatcher-2", ["training.speaker_normalisation=true"])
    (told,) = beyond_training(with_it)
    assert "without labels" in told
    assert "test" in told


def test_who_speaks_must_be_known(voices: Corpus) -> None:
    nobody = msgspec.structs.replace(
        voices, utterances=tuple(msgspec.structs.replace(u, speaker=None) for u in voices.utterances)
    )
    with pytest.raises(ProtocolError, match="have no speaker"):
        by_speaker(load_features(voices, RECIPE), nobody, RECIPE)
