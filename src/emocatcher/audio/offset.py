"""Remove a waveform's offset (its mean, "DC"), at once or while it arrives.

Cheap sound cards add a constant to every sample. It is inaudible, but it has power in the lowest mel bands, and a step
from zero to it at either end has power in all of them.
"""

from __future__ import annotations

import numpy as np

from emocatcher.audio.resampling import Waveform


def remove_offset(waveform: Waveform) -> Waveform:
    """Subtract the mean from a waveform, shape (n_samples,), float32.

    Examples:
        >>> remove_offset(np.array([0.75, 0.25], np.float32)).tolist()
        [0.25, -0.25]
    """
    return waveform - np.float32(waveform.mean(dtype=np.float64)) if len(waveform) else waveform


class OffsetRemover:
    """Remove the offset of a waveform that arrives in blocks; the joined output does not depend on the blocks.

    The offset of a sample is the mean of the last `n_samples` samples up to it, so that a slow drift is removed too.
    That of the first `n_samples` samples is their mean, for which they are held back: the output of a waveform that is
    no longer than that equals `remove_offset`.

    Args:
        n_samples: length of the mean.

    Examples:
        >>> remover = OffsetRemover(3)
        >>> [remover.push(np.full(n, 0.5, np.float32)).tolist() for n in (2, 2)], remover.finish().tolist()
        ([[], [0.0, 0.0, 0.0, 0.0]], [])
    """

    def __init__(self, n_samples: int) -> None:
        self._n_samples = max(n_samples, 1)
        self._last = np.empty(0, np.float32)  # at most n_samples
        self._offset: float | None = None  # of the newest sample; None until there are n_samples

    def push(self, block: Waveform) -> Waveform:
        """Add samples, shape (n_samples,); return those that are ready, shape (n_ready,), both float32."""
        samples, n = np.concatenate([self._last, block]), self._n_samples
        if len(samples) < n:
            self._last = samples
            return samples[:0]
        n_new = len(samples) - n
        ready = samples[:0]
        if self._offset is None:
            self._offset = float(samples[:n].mean(dtype=np.float64))
            ready = samples[:n] - np.float32(self._offset)
        # Each new sample enters the mean, and the one n_samples before it leaves.
        changes = np.subtract(samples[n:], samples[:n_new], dtype=np.float64)
        offsets = self._offset + np.cumsum(changes) / n
        self._last = samples[n_new:].copy()
        self._offset = float(offsets[-1]) if n_new else self._offset
        return np.concatenate([ready, samples[n:] - offsets.astype(np.float32)])

    def finish(self) -> Waveform:
        """Return the samples still held back, shape (n_samples,), float32; nothing can be pushed afterwards."""
        return remove_offset(self._last) if self._offset is None else self._last[:0]
