"""Silero detects a voice and nothing else, whatever was processed before, and in any number of threads at once."""

import threading

import numpy as np
import pytest

from emocatcher import audio
from emocatcher.features import silero

RATE = silero.SAMPLE_RATE
HISS = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def voice(ravdess_dir):
    """Return a real clip's loudest second."""
    waveform, _ = audio.load(ravdess_dir / "Actor_05" / "03-01-05-01-01-01-05.flac", RATE)
    centre = int(np.abs(waveform).argmax())
    return waveform[max(centre - RATE // 2, 0) : centre + RATE // 2]


@pytest.mark.parametrize("n_samples", [1, 511, 512, 513, RATE])
def test_silence_and_hiss_of_any_length_are_not_speech(n_samples):
    assert not silero.holds_speech(np.zeros(n_samples, np.float32), RATE)
    assert not silero.holds_speech(HISS[:n_samples], RATE)


@pytest.mark.corpus
@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 48_000])
def test_a_voice_is_detected_at_any_sample_rate_and_beyond_full_scale(voice, sample_rate):
    assert silero.holds_speech(voice, RATE)
    assert silero.holds_speech(audio.resample(voice, RATE, sample_rate), sample_rate)
    assert silero.holds_speech(30.0 * voice, RATE)


@pytest.mark.corpus
def test_earlier_calls_do_not_affect_the_result(voice):
    assert silero.holds_speech(voice, RATE)
    # Too short to be detected, unless the state of the call before was kept.
    assert not silero.holds_speech(voice[: 2 * RATE // 32], RATE)


@pytest.mark.corpus
def test_concurrent_calls_do_not_affect_each_other(voice):
    answers = {}

    def detect(name, waveform):
        answers[name] = {silero.holds_speech(waveform, RATE) for _ in range(20)}

    threads = [threading.Thread(target=detect, args=arguments) for arguments in (("voice", voice), ("hiss", HISS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"voice": {True}, "hiss": {False}}
