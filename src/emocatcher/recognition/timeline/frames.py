"""Frames of a waveform that arrives in blocks, kept as long as a window may still need them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import extraction
from emocatcher.foundation.settings import FrontEnd


class Frames:
    """The front end's features of each frame, computed once, whatever the windows' overlap.

    Args:
        front_end: settings of the front end.

    Attributes:
        first: index of the oldest frame kept.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> frames = Frames(load_preset("cabg").front_end)
        >>> frames.push(np.zeros(22_050, np.float32))
        >>> frames.discard_before(10)
        >>> frames.first, frames.last, frames.clip(12, 15).shape
        (10, 16, (64, 3))
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end, self._stream = front_end, extraction.FrameStream(front_end)
        self._kept = extraction.convert_frames(self._stream.push(np.empty(0, np.float32)), front_end)
        self.first = 0

    @property
    def last(self) -> int:
        """Index after the newest frame."""
        return self.first + len(self._kept)

    def push(self, block: audio.Waveform) -> None:
        """Add the next samples."""
        self._append(self._stream.push(block))

    def finish(self) -> None:
        """End the waveform and compute its last frames."""
        self._append(self._stream.finish())

    def clip(self, first: int, last: int) -> NDArray[np.float32]:
        """Return the channels of frames `first` to `last` (exclusive), as for a clip: (n_channels, n_frames)."""
        return extraction.combine_frames(self._kept[first - self.first : last - self.first], self._front_end)

    def is_flat(self, first: int, last: int) -> bool:
        """Whether all mel bands of these frames have the same power, as in digital silence."""
        bands = self._kept[first - self.first : last - self.first, : self._front_end.n_mels]
        return bool(bands.min() == bands.max())

    def discard_before(self, first: int) -> None:
        """Discard the frames before `first`."""
        if first > self.first:
            self._kept = self._kept[first - self.first :].copy()  # a view would keep the whole block
            self.first = first

    def _append(self, measured: NDArray[np.float32]) -> None:
        if len(measured):
            self._kept = np.concatenate([self._kept, extraction.convert_frames(measured, self._front_end)])
