"""Emotion in a Pipecat pipeline: a processor that passes all frames on, and adds frames with the speaker's emotion.

In the EU, Article 5(1)(f) of the AI Act prohibits inferring emotions at work and in education, except for medical or
safety reasons, and elsewhere Article 50(3) requires that callers are informed; see `docs/limits.md`.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from emocatcher.foundation.errors import EmoCatcherError, MissingExtraError
from emocatcher.integrations.live_speaker import Chunk, LiveSpeaker, note_on
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import Segment, Window

try:
    from pipecat.frames.frames import (
        CancelFrame,
        EndFrame,
        Frame,
        InputAudioRawFrame,
        LLMMessagesAppendFrame,
        StartFrame,
        SystemFrame,
        UserStartedSpeakingFrame,
        UserStoppedSpeakingFrame,
        VADUserStartedSpeakingFrame,
        VADUserStoppedSpeakingFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
except ModuleNotFoundError:
    raise MissingExtraError("The Pipecat processor", "pipecat") from None

_LAST_S = 5.0  # how long the end of a call waits for the last answers


@dataclass
class EmotionFrame(SystemFrame):  # type: ignore[misc]  # Pipecat is not installed where types are checked
    """The emotion of a window of the speaker's audio, or of a turn. A system frame: no interruption drops it.

    Args:
        emotion: the most probable label.
        probability: of that label, calibrated.
        abstain: the probability is below the threshold: treat it as no answer.
        start_s: where it starts, seconds from the first audio frame.
        end_s: where it ends, seconds from the first audio frame.
        is_turn: whether this is the answer for a whole turn, the mean of its windows.
    """

    emotion: str
    probability: float
    abstain: bool
    start_s: float
    end_s: float
    is_turn: bool


class EmotionProcessor(FrameProcessor):  # type: ignore[misc]
    """Pushes an `EmotionFrame` downstream for each window with speech, and for each turn of the speaker.

    Place it after the transport's input, and after the `VADProcessor` where there is one. A turn is a stretch of speech
    between two frames of voice activity detection; in a pipeline without these, it is a turn of the user. An
    interruption changes nothing here: it is the speaker who begins to speak. The loop is never blocked; see
    `LiveSpeaker` for what happens when recognition falls behind. If recognition fails, an `ErrorFrame` goes upstream,
    and the call goes on without emotions.

    Inform the people who call, and see the module on where the law prohibits it.

    Args:
        recognizer: the model, from `emocatcher.load`.
        user_id: of the only participant to recognise. Where None, all audio has to be of one person.
        note_role: the role of a message that states a turn's emotion to the language model, such as "developer" or
            "system"; None for no message. It does not start an answer. It comes a moment after the turn's end, so the
            answer to the same turn may have begun without it.
        options: `window_s`, `hop_s`, `abstain_below` and `most_behind_s`, as for `LiveSpeaker`.

    Raises:
        SettingError: if an option is out of range.
    """

    def __init__(
        self, recognizer: Recognizer, *, user_id: str | None = None, note_role: str | None = None, **options: Any
    ) -> None:
        super().__init__()
        self._speaker = LiveSpeaker(recognizer, **options)
        self._user_id, self._note_role = user_id, note_role
        self._reader: asyncio.Task[None] | None = None
        self._has_vad = False

    @property
    def dropped_s(self) -> float:
        """Audio dropped so far because recognition was behind, seconds."""
        return self._speaker.dropped_s

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take note of a frame, and pass it on."""
        await super().process_frame(frame, direction)
        is_vad = isinstance(frame, VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame)
        self._has_vad = self._has_vad or is_vad
        if isinstance(frame, InputAudioRawFrame):
            await self._take(frame)
        elif is_vad or not self._has_vad:
            if isinstance(frame, VADUserStartedSpeakingFrame | UserStartedSpeakingFrame):
                self._speaker.start_turn()
            elif isinstance(frame, VADUserStoppedSpeakingFrame | UserStoppedSpeakingFrame):
                self._speaker.end_turn()
        if isinstance(frame, StartFrame):
            self._reader = self._reader or self.create_task(self._read())
        elif isinstance(frame, EndFrame):
            await self._stop(_LAST_S)
        elif isinstance(frame, CancelFrame):
            await self._stop(0.0)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop recognition."""
        await self._stop(0.0)
        await super().cleanup()

    async def _take(self, frame: InputAudioRawFrame) -> None:
        is_wanted = self._user_id is None or getattr(frame, "user_id", None) == self._user_id
        if not (is_wanted and self._speaker.is_open):
            return
        try:
            self._speaker.push(Chunk.of(frame.audio, frame.sample_rate, frame.num_channels))
        except EmoCatcherError as error:  # Pipecat would drop the frame, which speech-to-text needs
            self._speaker.end()
            await self._fail(error)

    async def _read(self) -> None:
        try:
            async with aclosing(self._speaker.results()) as results:
                async for result in results:
                    await self._push(result)
        except Exception as error:  # also of too little memory, for example: whatever it is, the call goes on
            await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        await self.push_error(f"The emotion of this speaker is no longer recognised: {error}", error)

    async def _push(self, result: Window | Segment) -> None:
        if result.emotion is None or result.probability is None:
            return
        is_turn = isinstance(result, Segment)
        times = result.start_s, result.end_s
        await self.push_frame(EmotionFrame(result.emotion, result.probability, result.abstain, *times, is_turn))
        if self._note_role is not None and isinstance(result, Segment) and (note := note_on(result)):
            message = {"role": self._note_role, "content": note}
            await self.push_frame(LLMMessagesAppendFrame([message], run_llm=False))

    async def _stop(self, patience_s: float) -> None:
        self._speaker.end()
        reader, self._reader = self._reader, None
        if reader is not None:
            await asyncio.wait([reader], timeout=patience_s)
            if not reader.done():
                await self.cancel_task(reader)
