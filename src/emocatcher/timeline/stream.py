"""Live sound: chunks of any size in, windows at a fixed hop out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.errors import SettingError
from emocatcher.timeline.engine import Engine, HasSpeech
from emocatcher.timeline.hearing import Network
from emocatcher.timeline.windows import Window, Windows

_LOWEST_RATE = 1000  # Hz, as for any recording
_AT_ONCE_S = 30.0  # of a long chunk; bounds the memory


class Stream:
    """Recognises while the sound is still coming. Not to be shared by threads.

    What it gives, joined, is what `hear` says of the same sound (≤ 1e-5), however it was cut into chunks.

    Args:
        network: the model.
        has_speech: whether a window holds speech, as for `Engine`.
        sample_rate: of the chunks, Hz.
        window_s: length of a window, seconds.
        hop_s: from one window to the next, seconds.
        abstain_below: the probability under which a window is marked `abstain`.

    Raises:
        SettingError: if the rate or the lengths make no sense.
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
        if not sample_rate >= _LOWEST_RATE or sample_rate % 1:  # also where it is NaN
            raise SettingError(f"The sample rate is {sample_rate!r}. Give whole Hz, {_LOWEST_RATE} or more")
        self.sample_rate = int(sample_rate)
        self._engine = Engine(network, has_speech, window_s, hop_s, abstain_below)
        self._resampler = audio.Resampler(self.sample_rate, network.config.settings.front_end.sample_rate)
        self._finished = False

    @property
    def duration_s(self) -> float:
        """How much was heard, seconds; the resampler still holds back what was pushed last."""
        return self._engine.duration_s

    def push(self, chunk: NDArray[np.generic]) -> list[Window]:
        """Take the next samples; give the windows that are complete with them.

        Args:
            chunk: shape (n_samples,) or (n_samples, n_channels), integers at full scale or floats in [-1, 1]; it may
                be empty.

        Raises:
            AudioError: if a sample is NaN or infinite, or the chunk's shape, type or scale makes no sense; nothing of
                it is taken then, and the stream goes on.
            ValueError: if the stream is finished.
        """
        self._check()
        if np.size(chunk) == 0:
            return []
        waveform, _ = audio.load((chunk, self.sample_rate))
        step = round(_AT_ONCE_S * self.sample_rate)
        return [
            window
            for start in range(0, len(waveform), step)
            for window in self._heard(self._resampler.push(waveform[start : start + step]))
        ]

    def finish(self) -> list[Window]:
        """End the stream; give the windows that were still waiting, the last of which ends with the sound.

        Raises:
            ValueError: if the stream is finished already.
        """
        self._check()
        self._finished = True
        return [*self._heard(self._resampler.finish()), *self._engine.finish()]

    def _heard(self, waveform: audio.Waveform) -> Windows | tuple[()]:
        return self._engine.push(waveform) if len(waveform) else ()

    def _check(self) -> None:
        if self._finished:
            raise ValueError("This stream is finished. Open another one")
