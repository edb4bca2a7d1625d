"""A stream gives the same results as the whole recording, whatever its chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.foundation.errors import AudioError, NonFiniteError, SettingError
from emocatcher.recognition import timeline
from emocatcher.recognition.timeline import Stream

from .conftest import RATE, MadeNetwork, is_loud, push_all, talk

NETWORK = MadeNetwork()
SOUND = talk(9.3)


def open_stream(rate=RATE, **options):
    return Stream(NETWORK, is_loud, rate, **options)


def assert_alike(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.speech, one.emotion) == (other.speech, other.emotion)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        for name in ("start_s", "end_s", "time_s", "voiced_start_s", "voiced_end_s"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=8).filter(any), n_samples=st.integers(1, len(SOUND)))
def test_a_stream_agrees_with_the_timeline_whatever_the_chunks(sizes, n_samples):
    samples = SOUND[:n_samples]
    expected = timeline.recognise(NETWORK, is_loud, (samples, RATE)).windows
    assert_alike(push_all(open_stream(), samples, sizes), expected)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_stream_agrees_with_the_timeline_at_any_sample_rate(rate):
    samples = np.interp(np.arange(6 * rate) / rate, np.arange(len(SOUND)) / RATE, SOUND).astype(np.float32)
    expected = timeline.recognise(NETWORK, is_loud, (samples, rate)).windows
    assert_alike(push_all(open_stream(rate), samples, (1000, 1, 7, 0, 5000)), expected)


def test_a_stream_accepts_single_samples():
    samples = SOUND[: RATE + 7]
    expected = timeline.recognise(NETWORK, is_loud, (samples, RATE), window_s=0.5, hop_s=0.25).windows
    assert_alike(push_all(open_stream(window_s=0.5, hop_s=0.25), samples, (1,)), expected)


def test_one_chunk_two_channels_and_integers_give_the_same_windows():
    expected = open_stream().push(SOUND)
    stereo = np.stack([SOUND + 0.2, SOUND - 0.2], axis=1)
    for window, other in zip(open_stream().push(stereo), expected, strict=True):
        assert window.probabilities == pytest.approx(other.probabilities, abs=1e-2)
    integers = np.round(SOUND * 2**31).astype(np.int32)
    assert_alike(open_stream().push(integers), expected)


def test_windows_come_at_every_hop_without_delay():
    stream, times = open_stream(), []
    for start in range(0, len(SOUND), 441):
        times += [(window.end_s, (start + 441) / RATE) for window in stream.push(SOUND[start : start + 441])]
    ends, pushed_at = np.array(times).T
    assert ends == pytest.approx(3.0 + 0.5 * np.arange(13))
    assert (pushed_at - ends).max() < 0.12
    assert (pushed_at - ends).min() >= 0.0


def test_a_stream_without_samples_has_no_windows():
    assert open_stream().finish() == []
    stream = open_stream()
    assert stream.push(np.zeros(0, np.float32)) == stream.push(np.zeros((0, 2), np.int16)) == []
    assert stream.finish() == []


def test_a_bad_chunk_is_refused_and_the_stream_stays_open():
    stream = open_stream()
    windows = stream.push(SOUND[:50_000])
    for bad in (np.nan, np.inf):
        with pytest.raises(NonFiniteError):
            stream.push(np.array([0.1, bad], np.float32))
    with pytest.raises(AudioError):
        stream.push(np.array(["a"]))
    with pytest.raises(AudioError):
        stream.push(np.zeros((2, 2, 2)))
    windows += stream.push(SOUND[50_000:]) + stream.finish()
    assert_alike(windows, timeline.recognise(NETWORK, is_loud, (SOUND, RATE)).windows)


def test_a_finished_stream_cannot_be_used():
    stream = open_stream()
    stream.push(SOUND[:1000])
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.push(SOUND)
    with pytest.raises(ValueError, match="finished"):
        stream.finish()


@pytest.mark.parametrize("rate", [0, -1, 999, 16_000.5, float("nan")])
def test_unsupported_sample_rates_are_refused(rate):
    with pytest.raises(SettingError, match="Give whole Hz"):
        open_stream(rate)
