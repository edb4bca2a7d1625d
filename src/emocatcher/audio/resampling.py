"""Change the sample rate, at once or block by block, with the same result."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

Waveform: TypeAlias = NDArray[np.float32]


def resample(waveform: Waveform, source_rate: int, target_rate: int) -> Waveform:
    """Change the sample rate with soxr's HQ quality.

    The length is `ceil(n_samples * target_rate / source_rate)`: the last output sample may lie past the last input
    sample, and is zero where soxr returns one sample less. This is librosa's convention, so that frames agree.

    Args:
        waveform: shape (n_samples,), float32.
        source_rate: Hz.
        target_rate: Hz.

    Returns:
        shape (n_resampled,), float32.

    Examples:
        >>> resample(np.zeros(3, np.float32), 48_000, 22_050).shape
        (2,)
    """
    n_resampled = _n_resampled(len(waveform), source_rate, target_rate)
    return _fit(soxr.resample(waveform, source_rate, target_rate, quality="HQ"), n_resampled)


class Resampler:
    """Resample a waveform that arrives in blocks; the joined output equals `resample` of the whole waveform.

    Args:
        source_rate: Hz.
        target_rate: Hz.

    Examples:
        >>> resampler = Resampler(48_000, 24_000)
        >>> sum(len(resampler.push(np.zeros(n, np.float32))) for n in (1, 4000, 7)) + len(resampler.finish())
        2004
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rates = source_rate, target_rate
        same = source_rate == target_rate
        self._stream = None if same else soxr.ResampleStream(*self._rates, 1, dtype="float32", quality="HQ")
        self._n_in = self._n_out = 0

    def push(self, block: Waveform) -> Waveform:
        """Add samples, shape (n_samples,), and return those that are ready, shape (n_resampled,), both float32."""
        if self._stream is None:
            return block
        self._n_in += len(block)
        resampled: Waveform = self._stream.resample_chunk(block)
        self._n_out += len(resampled)
        return resampled

    def finish(self) -> Waveform:
        """Return the last samples, shape (n_samples,), float32; nothing can be pushed afterwards."""
        empty = np.zeros(0, np.float32)
        if self._stream is None:
            return empty
        n_left = _n_resampled(self._n_in, *self._rates) - self._n_out
        return _fit(self._stream.resample_chunk(empty, last=True), n_left)


def _n_resampled(n_samples: int, source_rate: int, target_rate: int) -> int:
    return -(-n_samples * target_rate // source_rate)


def _fit(waveform: Waveform, n_samples: int) -> Waveform:
    missing = n_samples - len(waveform)
    return np.pad(waveform, (0, missing)) if missing > 0 else waveform[:n_samples]
