"""Turn chunks of live sound into one waveform for recognition."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from emocatcher.audio.arrays import NAME, from_chunk
from emocatcher.audio.channels import LiveMixer
from emocatcher.audio.offset import OffsetRemover
from emocatcher.audio.resampling import Resampler, Waveform
from emocatcher.foundation.errors import NonFiniteError


class LiveSound:
    """Does with chunks what `read` does with a recording: full scale, one channel, no offset, another sample rate.

    Args:
        source_rate: of the chunks, Hz.
        target_rate: Hz.
        first_s: how much is held back to measure the offset and to choose among several channels, seconds.
    """

    def __init__(self, source_rate: int, target_rate: int, first_s: float) -> None:
        n_first = round(first_s * source_rate)
        self._mixer = LiveMixer(source_rate, n_first)
        self._offset = OffsetRemover(n_first)
        self._resampler = Resampler(source_rate, target_rate)

    def push(self, chunk: ArrayLike) -> Waveform:
        """Add a chunk (see `emocatcher.audio.arrays`); return the samples that are ready, (n_ready,), float32.

        Raises:
            AudioError: if the chunk cannot be used; it is then ignored.
        """
        samples = from_chunk(chunk)
        if not np.isfinite(samples).all():
            raise NonFiniteError(NAME, "contains NaN or infinite samples. Leave the chunk out, or repair its source")
        return self._resample(self._offset.push(self._mixer.push(samples)))

    def finish(self) -> Waveform:
        """Return the last samples, shape (n_samples,), float32; nothing can be pushed afterwards."""
        held = np.concatenate([self._offset.push(self._mixer.finish()), self._offset.finish()])
        return np.concatenate([self._resample(held), self._resampler.finish()])

    def _resample(self, waveform: Waveform) -> Waveform:
        return self._resampler.push(waveform) if len(waveform) else waveform
