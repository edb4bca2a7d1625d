"""Remove a waveform's offset (its mean, "DC"), at once or while it arrives.

Cheap sound cards add a constant to every sample. It is inaudible, but it has power in the lowest mel bands, and a step
from zero to it at either end has power in all of them.
"""

from __future__ import annotations

import numpy as np

from emocatcher.audio.resampling import Waveform

_MOST_DECAY = 20  # powers down to exp(-20) are exact enough in float64


def remove_offset(waveform: Waveform) -> Waveform:
    """Subtract the mean from a waveform, shape (n_samples,), float32.

    Examples:
        >>> remove_offset(np.array([0.75, 0.25], np.float32)).tolist()
        [0.25, -0.25]
    """
    return waveform - np.float32(waveform.mean(dtype=np.float64)) if len(waveform) else waveform


class OffsetRemover:
    """Remove the offset of a waveform that arrives in blocks; the joined output does not depend on the blocks.

    The offset of a sample is an exponential mean of the samples up to it, so that a slow drift is removed too. A mean
    of the last `n_samples` would leave a faint echo of speech in digital silence, where it has an emotion. The first
    `n_samples` samples lose their own mean, for which they are held back: the output of a waveform that is no longer
    than that equals `remove_offset`.

    Args:
        n_samples: length of the first mean; a sample counts 1/e times as much after half as many.

    Examples:
        >>> remover = OffsetRemover(3)
        >>> [remover.push(np.full(n, 0.5, np.float32)).tolist() for n in (2, 2)], remover.finish().tolist()
        ([[], [0.0, 0.0, 0.0, 0.0]], [])
    """

    def __init__(self, n_samples: int) -> None:
        self._n_samples = max(n_samples, 3)
        self._held = np.empty(0, np.float32)  # fewer than n_samples
        self._offset: float | None = None  # of the newest sample; None until there are n_samples

    def push(self, block: Waveform) -> Waveform:
        """Add samples, shape (n_samples,); return those that are ready, shape (n_ready,), both float32."""
        ready = [block[:0]]
        if self._offset is None:
            self._held, n = np.concatenate([self._held, block]), self._n_samples
            if len(self._held) < n:
                return block[:0]
            self._offset = float(self._held[:n].mean(dtype=np.float64))
            ready.append(self._held[:n] - np.float32(self._offset))
            self._held, block = self._held[:0], self._held[n:]
        at_once = _MOST_DECAY * self._n_samples // 2
        ready += [self._after_the_first(block[i : i + at_once]) for i in range(0, len(block), at_once)]
        return np.concatenate(ready)

    def finish(self) -> Waveform:
        """Return the samples still held back, shape (n_samples,), float32; nothing can be pushed afterwards."""
        return remove_offset(self._held)

    def _after_the_first(self, samples: Waveform) -> Waveform:
        # offset[i] = decay · offset[i - 1] + (1 - decay) · sample[i], without a loop.
        decay = 1.0 - 2.0 / self._n_samples
        powers = decay ** np.arange(1, len(samples) + 1)
        offsets = powers * (self._offset + np.cumsum(samples * ((1.0 - decay) / powers)))
        self._offset = float(offsets[-1])
        return samples - offsets.astype(np.float32)
