"""Recognise each turn of a recording as one utterance, while it is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from emocatcher import audio
from emocatcher.audio.decoding import declared_duration_s
from emocatcher.features import speech_gate
from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import utterance
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.speakers.turns import SpeakerTurn
from emocatcher.recognition.timeline import LONG_S, Network, Windows, summarise
from emocatcher.recognition.timeline.recording import BlockRecogniser

_BLOCK_S = 30.0  # length of a decoded block
_BEYOND_S = 1.0  # a turn may end this much after the recording: diarisers count in frames, Whisper in longer steps


class Answer(NamedTuple):
    """What was recognised in a turn; times from its start."""

    prediction: Prediction
    windows: Windows


class NewTurn(NamedTuple):
    """What recognises a turn, before its first sample."""

    network: Network
    window_s: float
    hop_s: float
    abstain_below: float

    @property
    def rate(self) -> int:
        """The model's sample rate, Hz."""
        return self.network.config.settings.front_end.sample_rate

    def in_windows(self) -> BlockRecogniser:
        """Return what recognises a turn of more than 10 s."""
        return BlockRecogniser(
            self.network,
            speech_gate.has_speech_at_once,
            self.window_s,
            self.hop_s,
            self.abstain_below,
        )

    def at_once(self, waveform: audio.Waveform, native_rate: int) -> Answer:
        """Recognise a turn of up to 10 s."""
        peak = float(np.abs(waveform).max())
        recording = audio.Recording(audio.remove_offset(waveform), self.rate, native_rate, peak, False, False)
        found = utterance.recognise(self.network, recording, self.abstain_below, path="", channel=None)
        labels, speech = self.network.config.labels, found.emotion is not None
        voiced = found.voiced or (0.0, found.duration_s)
        start_s, end_s, *voiced_s = (np.array([time_s]) for time_s in (0.0, found.duration_s, *voiced))
        probabilities = np.array([[found.probabilities.get(label, np.nan) for label in labels]])
        is_speech, abstains = np.array([speech]), np.array([found.abstain])
        windows = Windows(labels, start_s, end_s, voiced_s[0], voiced_s[1], is_speech, probabilities, abstains)
        return Answer(found, windows)


class _OpenTurn:
    """A turn whose samples arrive; those of more than 10 s are recognised meanwhile."""

    def __init__(self, new: NewTurn, last: int) -> None:
        self.last = last  # its end, in samples of the recording
        self._new = new
        self._parts: list[audio.Waveform] = []
        self._n_samples = 0
        self._long: BlockRecogniser | None = None
        self._offset = audio.OffsetRemover(round(new.window_s * new.rate))

    def push(self, samples: audio.Waveform) -> None:
        """Add samples."""
        self._n_samples += len(samples)
        self._parts.append(samples.copy())  # a view would keep the whole block
        if self._n_samples > LONG_S * self._new.rate:
            self._long = self._long or self._new.in_windows()
            for part in self._parts:
                self._long.push(self._offset.push(part))
            self._parts = []

    def finish(self, native_rate: int) -> Answer | None:
        """Return the answer; None without samples."""
        if not self._n_samples:
            return None
        if self._long is None:
            return self._new.at_once(np.concatenate(self._parts), native_rate)
        self._long.push(self._offset.finish())
        timeline = self._long.finish(audio.Facts(native_rate=native_rate))
        return Answer(summarise(timeline), Windows.of(timeline.labels, timeline.windows))


def answer_all(
    new: NewTurn,
    source: audio.Source,
    found: Sequence[SpeakerTurn],
    channel: int | None,
    on_block: Callable[[audio.Waveform], object] | None,
) -> tuple[list[Answer | None], audio.Facts, float]:
    """Recognise turns, which are in order of time; return their answers, and the facts and length of the recording."""
    new.in_windows()  # raises before anything is decoded if the window or the hop is not allowed
    facts, rate, n_samples = audio.Facts(), new.rate, 0
    answers: list[Answer | None] = [None] * len(found)
    running: dict[int, _OpenTurn] = {}
    n_begun = 0
    for block in _blocks(source, rate, facts, channel):
        n_after = n_samples + len(block)
        while n_begun < len(found) and round(found[n_begun].start_s * rate) < n_after:
            running[n_begun] = _OpenTurn(new, round(found[n_begun].end_s * rate))
            n_begun += 1
        for i, one in list(running.items()):
            first = max(round(found[i].start_s * rate) - n_samples, 0)
            one.push(block[first : one.last - n_samples])
            if one.last <= n_after:
                answers[i] = running.pop(i).finish(facts.native_rate)
        n_samples = n_after
        if on_block is not None:
            on_block(block)
    _check_end(found, n_samples / rate)
    for i, one in running.items():
        answers[i] = one.finish(facts.native_rate)
    return answers, facts, n_samples / rate


def _blocks(source: audio.Source, rate: int, facts: audio.Facts, channel: int | None) -> Iterator[audio.Waveform]:
    step = round(_BLOCK_S * rate)
    for block in audio.blocks(source, rate, block_s=_BLOCK_S, facts=facts, channel=channel):
        for start in range(0, len(block), step):  # an array arrives as one block of its full length
            yield block[start : start + step]


def check_early(source: audio.Source, found: Sequence[SpeakerTurn], channel: int | None) -> None:
    """Refuse turns after the end before anything is recognised, if the file states a length that they exceed.

    That length may be an estimate, so the recording is decoded to measure it.
    """
    declared_s = declared_duration_s(source)
    if declared_s is None or max(turn.end_s for turn in found) <= declared_s + _BEYOND_S:
        return
    facts = audio.Facts()
    n_samples = sum(len(block) for block in audio.blocks(source, facts=facts, channel=channel))
    _check_end(found, n_samples / facts.native_rate)


def _check_end(found: Sequence[SpeakerTurn], duration_s: float) -> None:
    beyond = [turn for turn in found if turn.end_s > duration_s + _BEYOND_S]
    if beyond:
        turn = beyond[0]
        raise SettingError(
            f"{len(beyond)} of {len(found)} turns are past the end of the recording, which has {duration_s:.2f} s; the "
            f"first is that of '{turn.speaker}' from {turn.start_s:.2f} to {turn.end_s:.2f} s. Give the turns of this "
            "recording, in seconds"
        )
