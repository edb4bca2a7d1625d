"""With an encoder, the windows of a timeline share its work, and those of a stream do not."""

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


def test_a_window_of_a_stream_gives_the_answer_of_the_whole_network_whatever_the_chunks(recognizer, waveform):
    def recognise(size):
        stream = timeline.Stream(recognizer, is_loud, 16_000)
        pushed = [window for at in range(0, 160_000, size) for window in stream.push(waveform[at : at + size])]
        return pushed + stream.finish()

    small, large = recognise(5_000), recognise(160_000)
    assert len(small) == len(large) > 10
    for one, other in zip(small, large, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_the_probabilities_are_those_of_the_labels_in_a_timeline_with_silence(recognizer, waveform):
    """Windows without speech between others keep the order."""
    padded = np.concatenate([np.zeros(80_000, np.float32), waveform[:80_000], np.zeros(80_000, np.float32)])
    windows = timeline.recognise(recognizer, is_loud, (padded, 16_000)).windows
    spoken = [window for window in windows if window.speech]
    assert 5 < len(spoken) < len(windows)
    assert all(sum(window.probabilities.values()) == pytest.approx(1.0) for window in spoken)


def test_a_stream_of_long_windows_runs_the_encoder_on_pieces(recognizer, waveform, monkeypatch):
    """Its memory grows with the square of the length: a window may have ten minutes."""
    lengths = []

    def states(clip):
        lengths.append(clip.shape[1])
        return np.zeros((-(-clip.shape[1] // 2), 64), np.float32)

    monkeypatch.setattr(recognizer._session, "states", states)
    monkeypatch.setattr(recognizer, "run", lambda *_: pytest.fail("the network ran on the whole window"))
    stream = timeline.Stream(recognizer, is_loud, 16_000, window_s=40.0, hop_s=40.0)
    (window,) = stream.push(waveform[: 41 * 16_000])
    assert window.speech
    assert len(lengths) > 10
    assert max(lengths) <= 300


def test_a_stream_runs_fewer_windows_at_once_the_longer_they_are(recognizer, waveform, monkeypatch):
    """Windows of half a minute would take gigabytes in the batches of short ones."""
    n_classes, squares = len(recognizer.config.labels), []

    def run(clips, batch_size=64):
        squares.append(min(batch_size, len(clips)) * max(clip.shape[1] for clip in clips) ** 2)
        return np.zeros((len(clips), n_classes), np.float32), [], np.zeros((len(clips), 0), np.float32)

    monkeypatch.setattr(recognizer, "run", run)
    for window_s in (3.0, 14.0, 29.0):
        stream = timeline.Stream(recognizer, is_loud, 16_000, window_s=window_s)
        assert len(stream.push(waveform[: 40 * 16_000])) > 20
    assert max(squares) <= 3000**2
