"""Cut a waveform that arrives in blocks into windows. Each frame's features are computed once, whatever the overlap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import speech_gate, voiced_span
from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.settings import FrontEnd
from emocatcher.recognition.timeline.frames import Frames
from emocatcher.recognition.timeline.window_batches import Network, PreparedWindow, WindowBatches
from emocatcher.recognition.timeline.windows import Windows

SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 0.5, 600.0
_SHORTEST_VOICE_S = 0.1  # a shorter voiced span is a click

HasSpeech = Callable[[audio.Waveform, int, NDArray[np.float32], FrontEnd], bool]


class _Cut(NamedTuple):
    """The position of a window."""

    start_s: float
    end_s: float
    first: int  # frame of the whole waveform
    last: int  # exclusive
    is_end: bool = False  # the window ends with the waveform, whatever the hop


def check(window_s: float, hop_s: float, front_end: FrontEnd) -> None:
    """Check the length of windows, and the time from one to the next, seconds, for a model with this front end.

    Raises:
        SettingError: if one is out of range.
    """
    if not SHORTEST_WINDOW_S <= window_s <= LONGEST_WINDOW_S:
        allowed = f"{SHORTEST_WINDOW_S:g} to {LONGEST_WINDOW_S:g} s"
        raise SettingError(f"The window is {window_s:g} s. Give {allowed}; about 3 s suits the model best")
    if not front_end.frame_period_s <= hop_s <= window_s:
        allowed = f"{math.ceil(1000 * front_end.frame_period_s) / 1000:g} s (one frame of this model)"
        raise SettingError(f"The hop is {hop_s:g} s. Give {allowed} to {window_s:g} s (the window)")


class Engine:
    """Turns blocks of a waveform into recognised windows.

    Window k covers k · hop_s to k · hop_s + window_s, in whole frames. If samples remain at the end, or the waveform is
    shorter than a window, one more window ends with the waveform. A window depends only on the waveform, not on how it
    was cut into blocks. A waveform no longer than a window gives the same result as `Recognizer.predict`.

    Memory holds one window, the newest block, and the windows queued for the network, whose number is bounded.

    Args:
        network: the model.
        has_speech: maps a window's (waveform, sample rate, log_mel, front end of the log_mel) to whether it contains
            speech. The front end is that of the speech gate if its sample rate is the model's, else the model's.
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        abstain_below: a window with a lower probability is marked `abstain`.
        at_once: whether to return windows as soon as they are complete, or later, when the network has processed a
            group of them.
        executor: a pool of threads in which the network runs; None to run it in the caller's thread.
        on_speech: called for each window with speech, with the channels and the waveform of its voiced span.

    Raises:
        SettingError: if the window or the hop is out of range.
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
        on_speech: Callable[[NDArray[np.float32], audio.Waveform], object] | None = None,
    ) -> None:
        self._has_speech, self._on_speech = has_speech, on_speech
        self._batches = WindowBatches(network, abstain_below, executor)
        self._at_once = at_once
        self._settings = settings = network.config.settings
        self._front_end = front_end = settings.front_end
        check(window_s, hop_s, front_end)
        self._window_s, self._hop_s = float(window_s), float(hop_s)
        self._window_frames = 1 + math.floor(window_s * front_end.sample_rate / front_end.hop_length)
        self._frames = Frames(front_end)
        # If the speech gate was not fitted to the model's spectrogram, it needs its own, which is also computed once
        # for all windows. At a very low sample rate the gate computes it itself, window by window.
        gate = speech_gate.front_end(front_end.sample_rate)
        has_own = not speech_gate.was_fitted_to(front_end) and gate.sample_rate == front_end.sample_rate
        self._gate_frames, self._gate_hop_length = Frames(gate) if has_own else None, gate.hop_length
        self._waveform = np.empty(0, np.float32)  # starts at the centre of the oldest frame kept
        self._n_samples = 0
        self._n_windows = 0  # cut so far at the regular hop
        self._covered_frames = 0  # the windows so far cover the frames before this one

    @property
    def duration_s(self) -> float:
        """Duration of all blocks pushed so far, seconds."""
        return self._n_samples / self._front_end.sample_rate

    def push(self, block: audio.Waveform) -> Windows:
        """Add the next samples, at the front end's rate, and return the windows that are ready (see `at_once`)."""
        self._n_samples += len(block)
        self._waveform = np.concatenate([self._waveform, block])
        self._frames.push(block)
        if self._gate_frames:
            self._gate_frames.push(block)
        self._prepare(self._next_cuts())
        self._discard_old()
        return self._batches.take(everything=self._at_once)

    def finish(self) -> Windows:
        """End the waveform. Return the windows that are still pending, and the one that ends with the waveform."""
        self._frames.finish()
        if self._gate_frames:
            self._gate_frames.finish()
        cuts, n_frames = self._next_cuts(), self._frames.last
        if self._covered_frames < n_frames:
            start_s = max(self.duration_s - self._window_s, 0.0)
            first = max(n_frames - self._window_frames, 0)
            cuts.append(_Cut(start_s, self.duration_s, first, n_frames, is_end=True))
        self._prepare(cuts)
        return self._batches.take(everything=True)

    def _next_cuts(self) -> list[_Cut]:
        """Advance by the regular hop; return the windows that are complete with the samples so far."""
        cuts: list[_Cut] = []
        while True:
            start_s = self._n_windows * self._hop_s
            first, end_s = self._frame_at(start_s), start_s + self._window_s
            last = first + self._window_frames
            if last > self._frames.last or round(end_s * self._front_end.sample_rate) > self._n_samples:
                return cuts
            cuts.append(_Cut(start_s, end_s, first, last))
            self._n_windows += 1
            self._covered_frames = last

    def _frame_at(self, time_s: float) -> int:
        return round(time_s * self._front_end.sample_rate / self._front_end.hop_length)

    def _gate_frames_at(self, start_s: float) -> tuple[int, int]:
        """Return the gate's first frame for a window, and how many of its frames are complete when the window is."""
        start, length = start_s * self._front_end.sample_rate, self._window_s * self._front_end.sample_rate
        return math.floor(start / self._gate_hop_length), max(math.floor(length / self._gate_hop_length), 1)

    def _discard_old(self) -> None:
        """Discard what no later window needs: neither the next one nor the one that ends with the waveform."""
        next_s = self._n_windows * self._hop_s
        oldest = min(self._frame_at(next_s), self._frames.last - self._window_frames)
        n_old = oldest - self._frames.first
        if n_old > 0:
            self._frames.discard_before(oldest)
            self._waveform = self._waveform[n_old * self._front_end.hop_length :].copy()
        if self._gate_frames:
            first, n = self._gate_frames_at(next_s)
            self._gate_frames.discard_before(min(first, self._gate_frames.last - n - 2))

    def _prepare(self, cuts: Sequence[_Cut]) -> None:
        front_end = self._front_end
        for cut in cuts:
            if self._frames.is_flat(cut.first, cut.last):  # no speech, and pitch would cost most of the time
                from_s = max(cut.first * front_end.frame_period_s, cut.start_s)
                to_s = min(cut.last * front_end.frame_period_s, cut.end_s)
                self._batches.add(PreparedWindow(cut.start_s, cut.end_s, from_s, to_s, None))
                continue
            channels = self._frames.clip(cut.first, cut.last)
            log_mel = channels[: front_end.n_mels]
            sound = self._sound_of(cut)
            clicked = voiced_span.clicks(sound, log_mel.shape[1], front_end)
            span = voiced_span.detect(log_mel, self._settings.vad, clicked)
            from_s, to_s = (
                min(max((cut.first + frame) * front_end.frame_period_s, cut.start_s), cut.end_s)
                for frame in (span.first, span.last)
            )
            clip = None
            if self._is_speech(cut, sound, log_mel, to_s - from_s):
                clip = np.ascontiguousarray(channels[:, span.first : span.last])
                if self._on_speech is not None:
                    self._on_speech(clip, self._between(from_s, to_s))
            self._batches.add(PreparedWindow(cut.start_s, cut.end_s, from_s, to_s, clip, cut.first + span.first))

    def _between(self, from_s: float, to_s: float) -> audio.Waveform:
        """Return the samples of a part of the waveform that is still kept."""
        rate, first = self._front_end.sample_rate, self._frames.first * self._front_end.hop_length
        return self._waveform[round(from_s * rate) - first : round(to_s * rate) - first]

    def _sound_of(self, cut: _Cut) -> audio.Waveform:
        """Return a window's samples, from the centre of its first frame."""
        start = (cut.first - self._frames.first) * self._front_end.hop_length
        return self._waveform[start : start + round((cut.end_s - cut.start_s) * self._front_end.sample_rate)]

    def _is_speech(self, cut: _Cut, sound: audio.Waveform, log_mel: NDArray[np.float32], voiced_s: float) -> bool:
        if voiced_s < _SHORTEST_VOICE_S:
            return False
        rate = self._front_end.sample_rate
        if self._gate_frames:
            first, n = self._gate_frames_at(cut.start_s)
            # Do not wait for samples after the window; the last frame would need some of them.
            last = self._gate_frames.last if cut.is_end else first + n
            return self._has_speech(sound, rate, self._gate_frames.clip(first, last), speech_gate.front_end(rate))
        return self._has_speech(sound, rate, log_mel, self._front_end)
