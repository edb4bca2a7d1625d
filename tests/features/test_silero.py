"""Silero hears a voice and nothing else, whatever was asked before, and by any number of threads at once."""

import threading

import numpy as np
import pytest

from emocatcher import audio
from emocatcher.features import silero

RATE = silero.SAMPLE_RATE
HISS = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def voice(ravdess_dir):
    """A real clip's loudest second."""
    waveform, _ = audio.load(ravdess_dir / "Actor_05" / "03-01-05-01-01-01-05.flac", RATE)
    centre = int(np.abs(waveform).argmax())
    return waveform[max(centre - RATE // 2, 0) : centre + RATE // 2]


@pytest.mark.parametrize("n_samples", [1, 511, 512, 513, RATE])
def test_silence_and_hiss_are_no_speech_however_short(n_samples):
    assert not silero.holds_speech(np.zeros(n_samples, np.float32), RATE)
    assert not silero.holds_speech(HISS[:n_samples], RATE)


@pytest.mark.corpus
@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 48_000])
def test_a_voice_is_heard_at_any_rate_and_beyond_full_scale(voice, sample_rate):
    assert silero.holds_speech(voice, RATE)
    assert silero.holds_speech(audio.resample(voice, RATE, sample_rate), sample_rate)
    assert silero.holds_speech(30.0 * voice, RATE)


@pytest.mark.corpus
def test_what_was_heard_before_is_forgotten(voice):
    assert silero.holds_speech(voice, RATE)
    # So short that it is too little to be heard, unless the voice before still counted.
    assert not silero.holds_speech(voice[: 2 * RATE // 32], RATE)


@pytest.mark.corpus
def test_threads_that_ask_at_once_do_not_hear_each_other(voice):
    answers = {}

    def ask(name, waveform):
        answers[name] = {silero.holds_speech(waveform, RATE) for _ in range(20)}

    threads = [threading.Thread(target=ask, args=asked) for asked in (("voice", voice), ("hiss", HISS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"voice": {True}, "hiss": {False}}
