"""The outline of a waveform of any length: how low and how high it goes, stretch by stretch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio


class Envelope:
    """Collects the outline block by block, in memory that does not grow with the waveform.

    Args:
        n_stretches: the most there are; where they would be more, neighbours are joined.

    Examples:
        >>> envelope = Envelope(4)
        >>> for block in (np.arange(6), -np.arange(4)):
        ...     envelope.push(block.astype(np.float32))
        >>> envelope.n_samples, envelope.step
        (10, 4)
        >>> envelope.outline().tolist()
        [[0.0, -1.0, -3.0], [3.0, 5.0, -2.0]]
    """

    def __init__(self, n_stretches: int = 4096) -> None:
        self._n_stretches = n_stretches
        self._outline = np.empty((2, 0), np.float32)  # of whole stretches
        self._rest = np.empty(0, np.float32)
        self.step = 1  # samples in a stretch
        self.n_samples = 0

    def push(self, block: audio.Waveform) -> None:
        """Take the next samples, shape (n_samples,), float32."""
        self.n_samples += len(block)
        while self.n_samples > self._n_stretches * self.step:
            n_pairs = self._outline.shape[1] // 2
            # An odd one out would shift all that follow; it is spread over the samples it came from.
            odd = self._outline[:, 2 * n_pairs :]
            pairs = self._outline[:, : 2 * n_pairs].reshape(2, n_pairs, 2)
            self._outline = np.stack([pairs[0].min(axis=1), pairs[1].max(axis=1)])
            if odd.size:
                spread = np.full(self.step, odd[1, 0], np.float32)
                spread[0] = odd[0, 0]
                self._rest = np.concatenate([spread, self._rest])
            self.step *= 2
        waiting = np.concatenate([self._rest, block])
        n_whole = len(waiting) // self.step
        whole = waiting[: n_whole * self.step].reshape(n_whole, self.step)
        self._outline = np.concatenate([self._outline, np.stack([whole.min(axis=1), whole.max(axis=1)])], axis=1)
        self._rest = waiting[n_whole * self.step :].copy()

    def outline(self) -> NDArray[np.float32]:
        """The lowest and the highest sample of every stretch, shape (2, at most n_stretches), float32."""
        if not len(self._rest):
            return self._outline
        return np.concatenate([self._outline, [[self._rest.min()], [self._rest.max()]]], axis=1)
