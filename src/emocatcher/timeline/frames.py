"""Frames of a waveform that comes in blocks, kept for as long as a window may still ask for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio, features
from emocatcher.config import FrontEnd


class Frames:
    """What a front end makes of each frame, computed once, whatever the windows' overlap.

    Args:
        front_end: which.

    Attributes:
        first: number of the oldest frame that is kept.

    Examples:
        >>> from emocatcher.config import load_preset
        >>> frames = Frames(load_preset("cabg").front_end)
        >>> frames.push(np.zeros(22_050, np.float32))
        >>> frames.forget(10)
        >>> frames.first, frames.last, frames.clip(12, 15).shape
        (10, 16, (64, 3))
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end, self._stream = front_end, features.FrameStream(front_end)
        self._kept = features.of_frames(self._stream.push(np.empty(0, np.float32)), front_end)
        self.first = 0

    @property
    def last(self) -> int:
        """Up to which there are frames, not including."""
        return self.first + len(self._kept)

    def push(self, block: audio.Waveform) -> None:
        """Take the next samples."""
        self._add(self._stream.push(block))

    def finish(self) -> None:
        """Take it that nothing follows."""
        self._add(self._stream.finish())

    def clip(self, first: int, last: int) -> NDArray[np.float32]:
        """The channels of the frames `first` to `last`, not including it: (n_channels, n_frames), as a clip's own."""
        return features.of_clip(self._kept[first - self.first : last - self.first], self._front_end)

    def forget(self, first: int) -> None:
        """Let go of the frames before `first`."""
        if first > self.first:
            self._kept = self._kept[first - self.first :].copy()  # a view would keep the whole block
            self.first = first

    def _add(self, measured: NDArray[np.float32]) -> None:
        if len(measured):
            self._kept = np.concatenate([self._kept, features.of_frames(measured, self._front_end)])
