"""Live audio: chunks of any size in, windows at a fixed hop out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.foundation.errors import SettingError
from emocatcher.recognition.timeline.engine import Engine, HasSpeech
from emocatcher.recognition.timeline.window_batches import Network
from emocatcher.recognition.timeline.windows import Window

_LOWEST_RATE = 1000  # Hz, as for any recording
_AT_ONCE_S = 30.0  # longer chunks are processed in parts of this length, which bounds the memory


class Stream:
    """Recognises audio while it is still arriving. Not thread-safe.

    All its windows together equal the windows that `recognise` gives for the same audio (≤ 1e-5), whatever the chunks.

    Args:
        network: the model.
        has_speech: whether a window contains speech, as for `Engine`.
        sample_rate: of the chunks, Hz.
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        abstain_below: a window with a lower probability is marked `abstain`.

    Raises:
        SettingError: if the sample rate, the window or the hop is out of range.
    """

    def __init__(
        self,
        network: Network,
        has_speech: HasSpeech,
        sample_rate: int,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        abstain_below: float = 0.0,
    ) -> None:
        if not sample_rate >= _LOWEST_RATE or sample_rate % 1:  # also true for NaN
            raise SettingError(f"The sample rate is {sample_rate!r}. Give whole Hz, {_LOWEST_RATE} or more")
        self.sample_rate = int(sample_rate)
        self._engine = Engine(network, has_speech, window_s, hop_s, abstain_below)
        self._rate = network.config.settings.front_end.sample_rate
        self._sound = audio.LiveSound(self.sample_rate, self._rate, window_s)
        self._finished = False

    @property
    def duration_s(self) -> float:
        """Duration processed so far, seconds; the first window is held until it is complete, to measure its offset."""
        return self._engine.duration_s

    def push(self, chunk: NDArray[np.generic]) -> list[Window]:
        """Add the next samples; return the windows that they complete.

        Args:
            chunk: an array or list of the shape (n_samples,) or (n_samples, n_channels); it may be empty.
                `emocatcher.audio.arrays` has the rule for its scale. Of channels that cancel, one is used; in a stream,
                this is known from the window before.

        Raises:
            AudioError: if a sample is NaN or infinite, or the chunk's shape, type or scale is not supported; the chunk
                is then ignored, and the stream stays open.
            ValueError: if the stream is finished.
        """
        self._check()
        if np.size(chunk) == 0:
            return []
        return self._recognise(self._sound.push(chunk))

    def finish(self) -> list[Window]:
        """End the stream; return the windows that are still pending, the last of which ends with the audio.

        Raises:
            ValueError: if the stream is finished already.
        """
        self._check()
        self._finished = True
        return [*self._recognise(self._sound.finish()), *self._engine.finish()]

    def _recognise(self, waveform: audio.Waveform) -> list[Window]:
        step = round(_AT_ONCE_S * self._rate)
        return [
            window
            for start in range(0, len(waveform), step)
            for window in self._engine.push(waveform[start : start + step])
        ]

    def _check(self) -> None:
        if self._finished:
            raise ValueError("This stream is finished. Open another one")
