"""Windows over a waveform that comes in blocks. Every frame's features are computed once, whatever the overlap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio, speech, vad
from emocatcher.config import FrontEnd
from emocatcher.errors import SettingError
from emocatcher.timeline.frames import Frames
from emocatcher.timeline.hearing import Hearing, Network, Prepared
from emocatcher.timeline.windows import Windows

SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 0.5, 600.0
_SHORTEST_VOICE_S = 0.1  # less is a click

HasSpeech = Callable[[audio.Waveform, int, NDArray[np.float32], FrontEnd], bool]


class _Cut(NamedTuple):
    """Where a window lies."""

    start_s: float
    end_s: float
    first: int  # frame of the whole waveform
    last: int  # up to, not including
    is_end: bool = False  # of the waveform, whatever the hop


class Engine:
    """Turns blocks of a waveform into windows.

    Window k lies from k · hop_s to k · hop_s + window_s, in whole frames. What remains at the end, and a waveform
    shorter than a window, has one more window that ends with it. A window depends on the waveform only, not on how it
    was cut into blocks; of a waveform no longer than a window it is what `Recognizer.predict` hears.

    Memory holds one window, the newest block, and what `hearing` has on its way through the network, which is bounded.

    Args:
        network: the model.
        has_speech: (waveform, sample rate, log_mel, front end of the log_mel) of a window → whether it holds speech.
            The front end is that of `emocatcher.speech` where it has the model's sample rate, else the model's.
        window_s: length of a window, seconds.
        hop_s: from one window to the next, seconds.
        abstain_below: the probability under which a window is marked.
        at_once: whether windows are given as soon as they are complete, or later, when the network has heard a group.
        executor: of one thread, for the network to run in beside all else; None for the caller's own thread.

    Raises:
        SettingError: if the lengths make no sense.
    """

    def __init__(
        self,
        network: Network,
        has_speech: HasSpeech,
        window_s: float,
        hop_s: float,
        abstain_below: float = 0.0,
        *,
        at_once: bool = True,
        executor: Executor | None = None,
    ) -> None:
        self._has_speech = has_speech
        self._hearing, self._at_once = Hearing(network, abstain_below, executor), at_once
        self._settings = settings = network.config.settings
        self._front_end = front_end = settings.front_end
        if not SHORTEST_WINDOW_S <= window_s <= LONGEST_WINDOW_S:
            allowed = f"{SHORTEST_WINDOW_S:g} to {LONGEST_WINDOW_S:g} s"
            raise SettingError(f"The window is {window_s:g} s. Give {allowed}; the model hears about 3 s best")
        if not front_end.frame_period_s <= hop_s <= window_s:
            allowed = f"{math.ceil(1000 * front_end.frame_period_s) / 1000:g} s (a frame of this model)"
            raise SettingError(f"The hop is {hop_s:g} s. Give {allowed} to {window_s:g} s (the window)")
        self._window_s, self._hop_s = float(window_s), float(hop_s)
        self._window_frames = 1 + math.floor(window_s * front_end.sample_rate / front_end.hop_length)
        self._frames = Frames(front_end)
        # A gate that was not fitted to the model's spectrogram needs its own, which is also computed once for all
        # windows; at another sample rate the gate computes it itself, window by window.
        gate = speech.front_end()
        has_own = not speech.was_fitted_to(front_end) and gate.sample_rate == front_end.sample_rate
        self._searched, self._searched_hop = Frames(gate) if has_own else None, gate.hop_length
        self._waveform = np.empty(0, np.float32)  # from the oldest frame's centre on
        self._n_samples = 0
        self._n_windows = 0  # given so far, by the regular hop
        self._last_frame = 0  # up to which windows were given

    @property
    def duration_s(self) -> float:
        """How much was pushed, seconds."""
        return self._n_samples / self._front_end.sample_rate

    def push(self, block: audio.Waveform) -> Windows:
        """Take the next samples, at the front end's rate; give the windows that are ready (see `at_once`)."""
        self._n_samples += len(block)
        self._waveform = np.concatenate([self._waveform, block])
        self._frames.push(block)
        if self._searched:
            self._searched.push(block)
        self._prepare(self._regular())
        self._forget()
        return self._hearing.take(everything=self._at_once)

    def finish(self) -> Windows:
        """Give the windows that were still waiting for more, and the one that ends with the waveform."""
        self._frames.finish()
        if self._searched:
            self._searched.finish()
        cuts, n_frames = self._regular(), self._frames.last
        if self._last_frame < n_frames:
            start_s = max(self.duration_s - self._window_s, 0.0)
            first = max(n_frames - self._window_frames, 0)
            cuts.append(_Cut(start_s, self.duration_s, first, n_frames, is_end=True))
        self._prepare(cuts)
        return self._hearing.take(everything=True)

    def _regular(self) -> list[_Cut]:
        """The windows that end with what there is now."""
        cuts: list[_Cut] = []
        while True:
            start_s = self._n_windows * self._hop_s
            first, end_s = self._frame_at(start_s), start_s + self._window_s
            last = first + self._window_frames
            if last > self._frames.last or round(end_s * self._front_end.sample_rate) > self._n_samples:
                return cuts
            cuts.append(_Cut(start_s, end_s, first, last))
            self._n_windows += 1
            self._last_frame = last

    def _frame_at(self, time_s: float) -> int:
        return round(time_s * self._front_end.sample_rate / self._front_end.hop_length)

    def _searched_at(self, start_s: float) -> tuple[int, int]:
        """The first frame in which a window's speech is searched for, and how many are whole when the window is."""
        start, length = start_s * self._front_end.sample_rate, self._window_s * self._front_end.sample_rate
        return math.floor(start / self._searched_hop), max(math.floor(length / self._searched_hop), 1)

    def _forget(self) -> None:
        """Let go of what no window to come will hold: the next one, or the one that ends with the waveform."""
        next_s = self._n_windows * self._hop_s
        oldest = min(self._frame_at(next_s), self._frames.last - self._window_frames)
        n_old = oldest - self._frames.first
        if n_old > 0:
            self._frames.forget(oldest)
            self._waveform = self._waveform[n_old * self._front_end.hop_length :].copy()
        if self._searched:
            first, n = self._searched_at(next_s)
            self._searched.forget(min(first, self._searched.last - n - 2))

    def _prepare(self, cuts: Sequence[_Cut]) -> None:
        front_end = self._front_end
        for cut in cuts:
            channels = self._frames.clip(cut.first, cut.last)
            log_mel = channels[: front_end.n_mels]
            span = vad.detect(log_mel, self._settings.vad)
            from_s, to_s = (
                min(max((cut.first + frame) * front_end.frame_period_s, cut.start_s), cut.end_s)
                for frame in (span.first, span.last)
            )
            clip = None
            if self._is_speech(cut, log_mel, to_s - from_s):
                clip = np.ascontiguousarray(channels[:, span.first : span.last])
            self._hearing.add(Prepared(cut.start_s, cut.end_s, from_s, to_s, clip))

    def _is_speech(self, cut: _Cut, log_mel: NDArray[np.float32], voiced_s: float) -> bool:
        if voiced_s < _SHORTEST_VOICE_S or log_mel.min() == log_mel.max():
            return False
        hop_length, rate = self._front_end.hop_length, self._front_end.sample_rate
        start = (cut.first - self._frames.first) * hop_length
        waveform = self._waveform[start : start + round((cut.end_s - cut.start_s) * rate)]
        if self._searched:
            first, n = self._searched_at(cut.start_s)
            # Whatever follows the window is not waited for: the last frame would need some of it.
            last = self._searched.last if cut.is_end else first + n
            return self._has_speech(waveform, rate, self._searched.clip(first, last), speech.front_end())
        return self._has_speech(waveform, rate, log_mel, self._front_end)
