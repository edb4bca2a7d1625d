"""Emotion in LiveKit: the windows of a participant's track, and the emotion of a turn for an agent.

Nothing of LiveKit is imported: its frames come from the caller, who has it. In the EU, Article 5(1)(f) of the AI Act
prohibits inferring emotions at work and in education, except for medical or safety reasons, and elsewhere Article 50(3)
requires that callers are informed; see `docs/limits.md`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from emocatcher.integrations.live_speaker import BYTES_PER_SAMPLE, Chunk, LiveSpeaker, note_on
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import Segment, Window

__all__ = ["TurnEmotions", "note_on", "recognise"]
_log = logging.getLogger(__name__)
_LOST = "The emotion of this speaker is no longer recognised"


class AudioFrame(Protocol):
    """What is used of a `livekit.rtc.AudioFrame`."""

    @property
    def data(self) -> memoryview:
        """Interleaved 16-bit samples."""

    @property
    def sample_rate(self) -> int:
        """Of the samples, Hz."""

    @property
    def num_channels(self) -> int:
        """Number of channels."""

    @property
    def samples_per_channel(self) -> int:
        """Number of samples of each channel; the data may be longer."""


_Frame = TypeVar("_Frame", bound=AudioFrame)


async def recognise(frames: AsyncIterable[Any], recognizer: Recognizer, **options: Any) -> AsyncIterator[Window]:
    """Give the windows with speech of one participant's track, while it arrives.

    The loop is never blocked, and a slow reader never holds the track up; see `LiveSpeaker` for what is dropped then.

    Args:
        frames: an `rtc.AudioStream`, or an asynchronous iterator of `rtc.AudioFrame` in real time; for a recording use
            `Recognizer.timeline`. It is closed at the end: a stream that nobody reads would keep all audio to come.
        recognizer: the model, from `emocatcher.load`.
        options: `window_s`, `hop_s`, `abstain_below` and `most_behind_s`, as for `LiveSpeaker`.

    Raises:
        SettingError: if an option or the sample rate is out of range.
    """
    speaker = LiveSpeaker(recognizer, **options)

    async def feed() -> None:
        try:
            async for item in frames:
                speaker.push(_chunk(getattr(item, "frame", item)))  # an AudioStream gives events, which have a frame
                await asyncio.sleep(0)  # an iterator that has its frames ready must not hold the loop
        finally:
            speaker.end()

    feeding = asyncio.create_task(feed())
    try:
        async with aclosing(speaker.results()) as results:
            async for result in results:
                if isinstance(result, Window):
                    yield result
        await feeding  # raises what ended the track
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        if (close := getattr(frames, "aclose", None)) is not None:
            await close()


class TurnEmotions:
    """Recognises the audio that goes to an agent's speech-to-text, and answers for each turn of the user.

    `tap` in the agent's `stt_node`, `turn` in its `on_user_turn_completed`: `docs/voice-agents.md` has both. If
    recognition fails, this is logged once, and the call goes on without emotions.

    Args:
        recognizer: the model, from `emocatcher.load`.
        on_window: called in the loop for each window with speech; it must return at once.
        options: `window_s`, `hop_s`, `abstain_below` and `most_behind_s`, as for `LiveSpeaker`.

    Raises:
        SettingError: if an option is out of range.
    """

    def __init__(
        self, recognizer: Recognizer, *, on_window: Callable[[Window], object] | None = None, **options: Any
    ) -> None:
        self._recognizer, self._on_window, self._options = recognizer, on_window, options
        self._speaker = LiveSpeaker(recognizer, **options)  # checks the options
        self._speaker.end()  # until there is audio, no turn has an emotion

    @property
    def dropped_s(self) -> float:
        """Audio of the present `tap` that was dropped because recognition was behind, seconds."""
        return self._speaker.dropped_s

    async def tap(self, frames: AsyncIterable[_Frame]) -> AsyncIterator[_Frame]:
        """Pass frames on at once and unchanged, and recognise them meanwhile. A session may call it again and again."""
        speaker = self._speaker = LiveSpeaker(self._recognizer, **self._options)
        reading = asyncio.create_task(self._read(speaker))
        try:
            async for frame in frames:
                self._take(speaker, frame)
                yield frame
        finally:
            speaker.end()  # also if the reader never began: then nothing else answers a later turn
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def turn(self, within_s: float = 1.0) -> Segment | None:
        """End the user's turn, and return its emotion.

        Args:
            within_s: how long to wait for it, seconds: the agent's answer waits as long.

        Returns:
            the mean of the turn's windows with speech; None if it had none, or was not recognised in time.
        """
        try:
            turn = await asyncio.wait_for(self._speaker.end_turn(), within_s)
        except TimeoutError:
            return None
        return None if turn.emotion is None else turn

    def _take(self, speaker: LiveSpeaker, frame: AudioFrame) -> None:
        if not speaker.is_open:
            return
        try:
            speaker.push(_chunk(frame))
        except Exception:  # whatever is wrong with a frame, it passes
            speaker.end()
            _log.exception(_LOST)

    async def _read(self, speaker: LiveSpeaker) -> None:
        try:
            async with aclosing(speaker.results()) as results:
                async for result in results:
                    if self._on_window is not None and isinstance(result, Window):
                        self._on_window(result)
        except Exception:  # of `on_window`, too: whatever it is, the call goes on
            _log.exception(_LOST)


def _chunk(frame: AudioFrame) -> Chunk:
    n_bytes = BYTES_PER_SAMPLE * frame.samples_per_channel * frame.num_channels
    return Chunk.of(bytes(frame.data)[:n_bytes], frame.sample_rate, frame.num_channels)
