"""A meeting of two synthetic voices, whose turns and loudness are known, and a network that recognises loudness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from emocatcher.corpora.synthesiser import SAMPLE_RATE, Delivery, Voice, synthesise
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.models.onnx_session import Answers
from emocatcher.recognition.speakers import SpeakerTurn

_VOICES = {"Ann": Voice(210, 1.15, 0, 0, 1, 0), "Bob": Voice(110, 1, 0, 0, 1, 0)}
_SYLLABLES = ("gi", "d@", "ta", "k@", "ba", "d@", "do")
# Start in s, speaker, loudness, sentences. Ann interrupts Bob at 6 s, and speaks for more than 10 s at the end.
_SCRIPT = [(0.5, "Bob", "loud", 2), (3.5, "Ann", "soft", 1), (5.0, "Bob", "soft", 1), (6.0, "Ann", "loud", 1),
           (8.0, "Bob", "loud", 1), (10.0, "Ann", "soft", 9)]  # fmt: skip
_PAUSE = np.zeros(SAMPLE_RATE // 4)
_DURATION_S = 25.0


class Meeting(NamedTuple):
    path: Path
    samples: NDArray[np.float64]
    turns: tuple[SpeakerTurn, ...]
    loudness: tuple[str, ...]  # of each turn

    def cut(self, turn: SpeakerTurn) -> tuple[NDArray[np.float64], int]:
        first, last = (round(time_s * SAMPLE_RATE) for time_s in (turn.start_s, turn.end_s))
        return self.samples[first:last], SAMPLE_RATE

    def rttm(self, uri: str = "meeting") -> str:
        lines = (
            f"SPEAKER {uri} 1 {one.start_s:.3f} {one.end_s - one.start_s:.3f} <NA> <NA> {one.speaker} <NA> <NA>\n"
            for one in self.turns
        )
        return "".join(lines)


@pytest.fixture(scope="session")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Meeting:
    samples = np.random.default_rng(0).normal(0, 1e-4, round(_DURATION_S * SAMPLE_RATE))
    turns = []
    for start_s, speaker, loudness, n_sentences in _SCRIPT:
        delivery = Delivery(0, 3, -2, 1, -16.0 if loudness == "loud" else -28.0, 0, -30, 0.1, 0, 0)
        random = np.random.default_rng(len(turns))
        spoken = [synthesise(_SYLLABLES, _VOICES[speaker], delivery, random) for _ in range(n_sentences)]
        sound = np.concatenate([one for sentence in spoken for one in (sentence, _PAUSE)][:-1])
        first = round(start_s * SAMPLE_RATE)
        samples[first : first + len(sound)] += sound
        turns.append(SpeakerTurn(start_s, round(start_s + len(sound) / SAMPLE_RATE, 3), speaker))
    path = tmp_path_factory.mktemp("meeting") / "meeting.wav"
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    return Meeting(path, soundfile.read(path)[0], tuple(turns), tuple(loudness for _, _, loudness, _ in _SCRIPT))


class _Config(NamedTuple):
    settings: Settings
    name: str = "loudness"
    version: str = "0.0.1"
    labels: tuple[str, ...] = ("soft", "loud")
    longest_voiced_s: float | None = None
    dimensions: tuple[Dimension, ...] = ()


class LoudnessNetwork:
    n_settled_on = 0

    def __init__(self) -> None:
        self.config = _Config(load_preset("emocatcher-3", []))

    def run(self, channels: Sequence[NDArray[np.float32]], batch_size: int = 64) -> Answers:
        n_mels = self.config.settings.front_end.n_mels
        level_db = [float(np.quantile(clip[:n_mels], 0.95)) for clip in channels]
        rows = [[0.0, np.clip(0.3 * (level - self.middle_db), -5, 5)] for level in level_db]
        return Answers(
            np.array(rows, np.float32), [np.ones(1, np.float32) for _ in rows], np.empty((len(rows), 0), np.float32)
        )

    middle_db = -5.0

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        exponential = np.exp(logits.astype(np.float64))
        return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


@pytest.fixture(scope="session")
def network() -> Any:
    return LoudnessNetwork()
