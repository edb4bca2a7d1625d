"""Clips that overlap in one recording: their frames are encoded once, and the answers are those of the network."""

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save

import emocatcher
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import Encoder, load_preset
from emocatcher.models import model_folder
from emocatcher.models.overlapping_clips import OverlappingClips

SETTINGS = msgspec.structs.replace(
    load_preset("emocatcher-3"), encoder=Encoder(source="random", n_layers=2, width=32, n_heads=4, hidden=48)
)
RECORDING = np.random.default_rng(1).uniform(-70.0, 0.0, (80, 1200)).astype(np.float32)


class CountedSession:
    """Counts the frames that are encoded."""

    def __init__(self, session):
        self._session, self.n_frames = session, []

    def states(self, clip):
        self.n_frames.append(clip.shape[1])
        return self._session.states(clip)


@pytest.fixture(scope="module")
def recognizer(make_model):
    return emocatcher.load(make_model(SETTINGS, (Dimension("arousal", 1.0, 7.0),)).path)


@pytest.fixture
def counted(recognizer):
    return CountedSession(recognizer._session)


def cut(*spans):
    return [RECORDING[:, first:last] for first, last in spans], [first for first, _ in spans]


def test_short_clips_that_do_not_overlap_give_the_answers_of_the_network(recognizer):
    clips, first_frames = cut((700, 701), (7, 200), (201, 501), (503, 650))
    shared, alone = recognizer.overlapping.run(clips, first_frames), recognizer.run(clips)
    np.testing.assert_allclose(shared.logits, alone.logits, atol=1e-4)
    np.testing.assert_allclose(shared.dimensions, alone.dimensions, atol=1e-3)
    assert np.ptp(alone.dimensions) > 0.01


def test_each_frame_in_a_clip_is_encoded_once_in_pieces_of_at_most_three_seconds(recognizer, counted):
    clips, first_frames = cut(*((start, start + 301) for start in range(0, 700, 50)), (1100, 1130))
    network = OverlappingClips(model_folder.read(recognizer.path), counted)
    logits = network.run(clips, first_frames).logits
    assert sum(counted.n_frames) == 650 + 301 + 30
    assert max(counted.n_frames) <= 300
    assert logits.shape == (15, 4)


def test_a_window_is_pooled_from_its_own_steps(recognizer):
    """Of two clips, one within the other, each gives the statistics of its own part of the states."""
    network = OverlappingClips(model_folder.read(recognizer.path), recognizer._session)
    clips, first_frames = cut((100, 300), (151, 250))
    whole, part = network.run(clips, first_frames).logits
    states = recognizer._session.states(clips[0])
    weights = model_folder.read(recognizer.path).weights()
    for logits, own in ((whole, states), (part, states[25:75])):
        means, deviations = own.mean(axis=0).reshape(2, 32), np.sqrt(own.var(axis=0) + 1e-6).reshape(2, 32)
        statistics = np.concatenate([means[0], deviations[0], means[1], deviations[1]])
        scaled = (statistics - weights["mean"]) / weights["deviation"]
        np.testing.assert_allclose(logits, weights["output.weight"] @ scaled + weights["output.bias"], atol=1e-4)


def test_the_other_networks_share_nothing():
    assert emocatcher.load("cabg").overlapping is None


def test_a_layer_of_another_shape_is_an_error(recognizer, tmp_path):
    model = model_folder.read(recognizer.path)
    (tmp_path / "model.safetensors").write_bytes(save(model.weights() | {"mean": np.zeros(3, np.float32)}))
    damaged = OverlappingClips(msgspec.structs.replace(model, path=tmp_path), recognizer._session)
    with pytest.raises(ModelError, match=r"no 'mean' of the shape \(128,\)"):
        damaged.run([RECORDING[:, :50]], [0])
