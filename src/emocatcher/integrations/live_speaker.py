"""One speaker's live audio in an event loop: recognised in a thread, as windows and as turns."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import SettingError
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import Segment, Stream, Window

BYTES_PER_SAMPLE = 2
_BEFORE_S = 0.5  # of a turn: a voice activity detector reports the start some tenths of a second late
_AT_ONCE_S = 0.1  # frames have 10 to 20 ms, and handing each of them to a thread takes longer than the network


class Chunk(NamedTuple):
    """Samples as they arrive."""

    samples: NDArray[np.int16]  # (n_samples, n_channels)
    sample_rate: int  # Hz
    start_s: float = 0.0  # from the speaker's first sample; set by `LiveSpeaker`

    @property
    def duration_s(self) -> float:
        """Duration, seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def end_s(self) -> float:
        """Where it ends, seconds from the speaker's first sample."""
        return self.start_s + self.duration_s

    @classmethod
    def of(cls, content: bytes, sample_rate: int, n_channels: int) -> Chunk:
        """Read interleaved 16-bit samples; an incomplete one at the end is left out.

        Raises:
            SettingError: if the sample rate or the number of channels is not positive.

        Examples:
            >>> Chunk.of(bytes(1280), 16_000, 2).duration_s
            0.02
        """
        if sample_rate < 1 or n_channels < 1:
            raise SettingError(f"The audio has {n_channels} channels at {sample_rate} Hz. Give 1 or more of each")
        n_bytes = len(content) - len(content) % (BYTES_PER_SAMPLE * n_channels)
        return cls(np.frombuffer(content[:n_bytes], "<i2").reshape(-1, n_channels), int(sample_rate))

    def since(self, time_s: float) -> Chunk:
        """Return the part from a time on."""
        first = max(round((time_s - self.start_s) * self.sample_rate), 0)
        return self._replace(samples=self.samples[first:], start_s=self.start_s + first / self.sample_rate)


class _Mark(NamedTuple):
    """The start of a turn, or its end, which is to be answered."""

    time_s: float
    answer: asyncio.Future[Segment] | None = None  # None: the start


class LiveSpeaker:
    """Recognises the audio of one speaker while it arrives, without blocking the event loop.

    Audio goes in by `push`, which never waits; one task reads `results`. The network runs in a thread. If it falls
    behind by more than `most_behind_s`, the pending audio is dropped and the newest is kept: live audio cannot wait.
    Recognition then begins anew after the gap, so that no window joins what was not spoken together. Times still count
    from the first sample.

    Without `start_turn`, all audio is recognised. After the first one, only turns are, each with the half second before
    it, because detectors of speech report it late.

    Args:
        recognizer: the model, from `emocatcher.load`; several speakers may share it.
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        abstain_below: a window or a turn with a lower probability is marked `abstain`; None for the model's threshold.
        most_behind_s: how much audio may wait, seconds.

    Raises:
        SettingError: if one of them is out of range.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        window_s: float = 3.0,
        hop_s: float = 1.0,
        abstain_below: float | None = None,
        most_behind_s: float = 10.0,
    ) -> None:
        if not most_behind_s > 0:
            raise SettingError(f"most_behind_s is {most_behind_s!r}. Give more than 0 s; 10 s is the default")
        self._recognizer, self._window_s, self._hop_s = recognizer, window_s, hop_s
        self._abstain_below = recognizer.config.abstain_below if abstain_below is None else abstain_below
        self._most_behind_s = most_behind_s
        self._open(16_000)  # checks the settings now, not at the first chunk
        self._pending: deque[Chunk | _Mark] = deque()
        self._arrival = asyncio.Event()
        self._received_s = self._pending_s = self._dropped_s = 0.0
        self._ended = False
        # What only the task that reads `results` uses:
        self._section: _Section | None = None
        self._tally = _Tally()
        self._in_turn: bool | None = None  # None: no turn was ever started
        self._before: deque[Chunk] = deque()

    @property
    def is_open(self) -> bool:
        """Whether more audio is taken: not after `end`, nor when recognition has failed or nobody reads `results`."""
        return not self._ended

    @property
    def dropped_s(self) -> float:
        """Audio dropped so far because recognition was behind, seconds."""
        return self._dropped_s

    def push(self, chunk: Chunk) -> None:
        """Add the next samples; after `end`, they are ignored."""
        if self._ended or not len(chunk.samples):
            return
        if self._pending_s and self._pending_s + chunk.duration_s > self._most_behind_s:
            self._dropped_s += self._pending_s
            self._pending_s = 0.0
            self._pending = deque(item for item in self._pending if isinstance(item, _Mark))
        chunk = chunk._replace(start_s=self._received_s)
        self._received_s = chunk.end_s
        self._pending_s += chunk.duration_s
        self._add(chunk)

    def start_turn(self) -> None:
        """Note that the speaker has begun to speak, at the last sample pushed."""
        if not self._ended:
            self._add(_Mark(self._received_s))

    def end_turn(self) -> asyncio.Future[Segment]:
        """Note that the speaker has stopped speaking, at the last sample pushed.

        Returns:
            what `results` also gives: the mean of the turn's windows with speech, from its first voiced sample to the
            last. Without speech, and after `end`, it has no emotion.
        """
        answer: asyncio.Future[Segment] = asyncio.get_running_loop().create_future()
        if self._ended:
            answer.set_result(_Tally().segment(self._received_s, self._abstain_below))
        else:
            self._add(_Mark(self._received_s, answer))
        return answer

    def end(self) -> None:
        """End the audio: `results` gives what is pending, and then ends."""
        self._ended = True
        self._arrival.set()

    async def results(self) -> AsyncGenerator[Window | Segment, None]:
        """Give each window with speech, and a segment for each turn that ended, in order; for one task only.

        Raises:
            SettingError: if a sample rate is below 1000 Hz.
            ModelError: if the network fails.
        """
        item: Chunk | _Mark | None = None
        try:
            while (item := await self._next()) is not None:
                if isinstance(item, _Mark) and item.answer is not None:
                    for window in await self._finish_section():
                        yield window
                    turn = self._tally.segment(item.time_s, self._abstain_below)
                    if not item.answer.done():  # its reader may have given up
                        item.answer.set_result(turn)
                    yield turn
                    if self._in_turn:
                        self._in_turn = False
                    self._tally = _Tally()
                    self._before.clear()
                elif isinstance(item, _Mark):
                    if not self._in_turn:
                        self._in_turn, self._section, self._tally = True, None, _Tally()
                        for chunk in [one.since(item.time_s - _BEFORE_S) for one in self._before]:
                            for window in await self._recognise(chunk):
                                yield window
                else:
                    self._pending_s -= item.duration_s
                    self._keep(item)
                    if self._in_turn is not False:
                        for window in await self._recognise(item):
                            yield window
            for window in await self._finish_section():
                yield window
        finally:
            self._ended = True
            for mark in (item, *self._pending):
                if isinstance(mark, _Mark) and mark.answer is not None and not mark.answer.done():
                    mark.answer.set_result(_Tally().segment(mark.time_s, self._abstain_below))
            self._pending.clear()

    async def _next(self) -> Chunk | _Mark | None:
        while not self._pending:
            if self._ended:
                return None
            self._arrival.clear()
            await self._arrival.wait()
        return self._pending.popleft()

    async def _recognise(self, chunk: Chunk) -> list[Window]:
        windows: list[Window] = []
        if not len(chunk.samples):
            return windows
        if self._section is None or not self._section.continues_with(chunk):
            windows = await self._finish_section()
            self._section = _Section(self._open(chunk.sample_rate), chunk)
        return windows + self._counted(await self._section.push(chunk))

    async def _finish_section(self) -> list[Window]:
        section, self._section = self._section, None
        return [] if section is None else self._counted(await section.finish())

    def _counted(self, windows: list[Window]) -> list[Window]:
        for window in windows:
            self._tally.add(window)
        return windows

    def _keep(self, chunk: Chunk) -> None:
        """Keep the newest chunks, of `_BEFORE_S` in all: the next turn may have begun in them."""
        self._before.append(chunk)
        while self._before[0].end_s < chunk.end_s - _BEFORE_S:
            self._before.popleft()

    def _open(self, sample_rate: int) -> Stream:
        return self._recognizer.stream(sample_rate, self._window_s, self._hop_s, abstain_below=self._abstain_below)

    def _add(self, item: Chunk | _Mark) -> None:
        self._pending.append(item)
        self._arrival.set()


class _Section:
    """Audio without a gap, in one stream, which gets it a tenth of a second at a time."""

    def __init__(self, stream: Stream, first: Chunk) -> None:
        self._stream, self._start_s, self._end_s = stream, first.start_s, first.start_s
        self._shape = first.sample_rate, first.samples.shape[1]
        self._held = first.samples[:0]  # not in the stream yet

    def continues_with(self, chunk: Chunk) -> bool:
        """Whether a chunk is the next one, in the same format."""
        same_format = self._shape == (chunk.sample_rate, chunk.samples.shape[1])
        return same_format and abs(chunk.start_s - self._end_s) < 0.5 / chunk.sample_rate

    async def push(self, chunk: Chunk) -> list[Window]:
        self._end_s, self._held = chunk.end_s, np.concatenate([self._held, chunk.samples])
        if len(self._held) < _AT_ONCE_S * chunk.sample_rate:
            return []
        samples, self._held = self._held, self._held[:0]
        return list(self._spoken(await asyncio.to_thread(self._stream.push, samples)))

    async def finish(self) -> list[Window]:
        return list(self._spoken(await asyncio.to_thread(self._finish)))

    def _finish(self) -> list[Window]:
        last = self._stream.push(self._held) if len(self._held) else []
        return [*last, *self._stream.finish()]

    def _spoken(self, windows: list[Window]) -> Iterator[Window]:
        """The windows with speech, with times of the whole audio."""
        times = ("start_s", "end_s", "time_s", "voiced_start_s", "voiced_end_s")
        for window in windows:
            if window.speech:
                yield msgspec.structs.replace(window, **{name: getattr(window, name) + self._start_s for name in times})


class _Tally:
    """The sums over the windows of a turn, which may last for hours."""

    def __init__(self) -> None:
        self._n_windows = 0
        self._sums: dict[str, float] = {}
        self._first_s, self._last_s = math.inf, -math.inf

    def add(self, window: Window) -> None:
        self._n_windows += 1
        for label, probability in window.probabilities.items():
            self._sums[label] = self._sums.get(label, 0.0) + probability
        self._first_s = min(self._first_s, window.voiced_start_s)
        self._last_s = max(self._last_s, window.voiced_end_s)

    def segment(self, time_s: float, abstain_below: float) -> Segment:
        """The answer; `time_s` stands for the times of a turn without speech."""
        if not self._n_windows:
            return Segment(start_s=time_s, end_s=time_s, emotion=None, probability=None, abstain=True)
        best = max(self._sums, key=self._sums.__getitem__)
        mean = min(self._sums[best] / self._n_windows, 1.0)
        return Segment(
            start_s=self._first_s, end_s=self._last_s, emotion=best, probability=mean, abstain=mean < abstain_below
        )


def note_on(turn: Segment) -> str | None:
    """Return a line for the context of a language model, or None where the model abstains.

    Examples:
        >>> turn = Segment(start_s=0.2, end_s=1.9, emotion="angry", probability=0.62, abstain=False)
        >>> note_on(turn)
        'Estimated from the voice alone, and often wrong: the speaker sounds angry (62%).'
    """
    if turn.abstain or turn.emotion is None or turn.probability is None:
        return None
    return (
        f"Estimated from the voice alone, and often wrong: the speaker sounds {turn.emotion} ({turn.probability:.0%})."
    )
