"""With an encoder, windows give the same answers in a timeline, in a stream and alone."""

import msgspec
import numpy as np
import pytest

import emocatcher
from emocatcher import audio
from emocatcher.features import extraction
from emocatcher.foundation.settings import Encoder, load_preset
from emocatcher.recognition import timeline

from .conftest import RATE, talk

SETTINGS = msgspec.structs.replace(
    load_preset("emocatcher-3"), encoder=Encoder(source="random", n_layers=2, width=32, n_heads=4, hidden=48)
)


def is_loud(waveform, sample_rate, log_mel, front_end):
    return bool(np.abs(waveform).max() > 0.01)


@pytest.fixture(scope="module")
def recognizer(make_model):
    return emocatcher.load(make_model(SETTINGS).path)


@pytest.fixture(scope="module")
def waveform():
    return audio.resample(talk(80.0), RATE, 16_000)


def test_one_thread_and_two_give_the_same_timeline(recognizer, waveform):
    one, two = (timeline.recognise(recognizer, is_loud, (waveform, 16_000), threads=n) for n in (1, 2))
    assert len(one.windows) > 128  # several groups
    assert one.windows == two.windows


def test_a_clip_no_longer_than_a_window_gives_the_result_of_predict(recognizer, waveform):
    clip = (waveform[:32_000], 16_000)
    (window,) = timeline.recognise(recognizer, is_loud, clip).windows
    settings = recognizer.config.settings
    features = extraction.extract(audio.read(clip).waveform, settings.front_end, settings.vad)
    expected = recognizer.probabilities(recognizer.run([features.channels])[0])[0]
    assert list(window.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("size", [5_000, 160_000])
def test_the_windows_of_a_stream_are_those_of_the_timeline_whatever_the_chunks(recognizer, waveform, size):
    """The windows of a timeline once shared the states of frames encoded among other neighbours, and differed."""
    sound = waveform[:160_000] * np.linspace(0.2, 1.0, 160_000, dtype=np.float32)
    stream = timeline.Stream(recognizer, is_loud, 16_000)
    windows = [window for at in range(0, 160_000, size) for window in stream.push(sound[at : at + size])]
    windows += stream.finish()
    expected = timeline.recognise(recognizer, is_loud, (sound, 16_000)).windows
    assert len(windows) == len(expected) > 10
    for one, other in zip(windows, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_the_probabilities_are_those_of_the_labels_in_a_timeline_with_silence(recognizer, waveform):
    """Windows without speech between others keep the order."""
    padded = np.concatenate([np.zeros(80_000, np.float32), waveform[:80_000], np.zeros(80_000, np.float32)])
    windows = timeline.recognise(recognizer, is_loud, (padded, 16_000)).windows
    spoken = [window for window in windows if window.speech]
    assert 5 < len(spoken) < len(windows)
    assert all(sum(window.probabilities.values()) == pytest.approx(1.0) for window in spoken)
