"""The outline of a waveform of any length: the minimum and maximum of each bin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio


class Envelope:
    """Computes the outline block by block, in memory that does not grow with the waveform.

    Args:
        max_bins: highest number of bins; when there would be more, neighbouring bins are merged in pairs.

    Attributes:
        step: samples per bin.
        n_samples: samples pushed so far.

    Examples:
        >>> envelope = Envelope(4)
        >>> for block in (np.arange(6), -np.arange(4)):
        ...     envelope.push(block.astype(np.float32))
        >>> envelope.n_samples, envelope.step
        (10, 4)
        >>> envelope.outline().tolist()
        [[0.0, -1.0, -3.0], [3.0, 5.0, -2.0]]
    """

    def __init__(self, max_bins: int = 4096) -> None:
        self._max_bins = max_bins
        self._outline = np.empty((2, 0), np.float32)  # of the full bins
        self._rest = np.empty(0, np.float32)  # samples that do not fill a bin yet
        self.step = 1
        self.n_samples = 0

    def push(self, block: audio.Waveform) -> None:
        """Add the next samples, shape (n_samples,), float32."""
        self.n_samples += len(block)
        while self.n_samples > self._max_bins * self.step:
            n_pairs = self._outline.shape[1] // 2
            # An unpaired last bin would shift all later ones, so its extremes go back to the unbinned samples.
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
        """Return the minimum and the maximum of every bin, shape (2, n_bins), n_bins ≤ max_bins, float32."""
        if not len(self._rest):
            return self._outline
        return np.concatenate([self._outline, [[self._rest.min()], [self._rest.max()]]], axis=1)
