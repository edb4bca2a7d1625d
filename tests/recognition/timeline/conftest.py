"""A fast stand-in for a model, whose output depends on every cell of its input, and a synthetic recording."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import FrontEnd, Settings, load_preset
from emocatcher.models.onnx_session import Answers
from emocatcher.recognition import timeline
from emocatcher.recognition.timeline import Timeline

RATE = 22_050
_TALK_S = 44


class Config(NamedTuple):
    name: str = "made"
    version: str = "0.0.1"
    labels: tuple[str, ...] = ("glad", "low", "cross")
    settings: Settings = load_preset("cabg")
    dimensions: tuple[Dimension, ...] = ()


class MadeNetwork:
    """Turns sums over a clip into logits; a clip's logits do not depend on its batch."""

    n_settled_on = 0

    def __init__(self, labels: tuple[str, ...] = ("glad", "low", "cross"), preset: str = "cabg") -> None:
        self.config = Config(labels=labels, settings=load_preset(preset))

    def run(self, channels: Sequence[NDArray[np.float32]], batch_size: int = 64) -> Answers:
        rows = []
        for clip in channels:
            level = np.asarray(clip, np.float64).mean(axis=1) / 20.0
            rows.append([np.sin((i + 1) * level).sum() + 0.05 * clip.shape[1] for i in range(len(self.config.labels))])
        return Answers(
            np.array(rows, np.float32), [np.ones(1, np.float32) for _ in rows], np.empty((len(rows), 0), np.float32)
        )

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        exponential = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


def is_loud(waveform: audio.Waveform, sample_rate: int, log_mel: NDArray[np.float32], front_end: FrontEnd) -> bool:
    """Stand-in for the speech gate."""
    assert sample_rate == RATE
    assert log_mel.shape[0] == front_end.n_mels == 64
    # The waveform has the length of these frames.
    assert abs(1 + len(waveform) // 1364 - log_mel.shape[1]) <= 1
    return bool(np.abs(waveform).max() > 0.01)


@lru_cache(maxsize=1)
def _long_talk() -> audio.Waveform:
    times_s = np.arange(_TALK_S * RATE) / RATE
    pitch = 120 + 40 * np.sin(0.9 * times_s)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase + k) * np.sin(0.3 * k * times_s) / k for k in range(1, 12))
    spoken = (times_s % 11.0 < 6.0) & (np.sin(2 * np.pi * 2.3 * times_s) > -0.5)
    noise = np.random.default_rng(0).normal(0, 1e-4, len(times_s))
    return (0.1 * voice * spoken + noise).astype(np.float32)


def talk(seconds: float) -> audio.Waveform:
    """Return syllables of changing timbre, separated by noise that is not speech."""
    return np.tile(_long_talk(), math.ceil(seconds / _TALK_S))[: round(seconds * RATE)]


@pytest.fixture(scope="session")
def network() -> MadeNetwork:
    return MadeNetwork()


@pytest.fixture(scope="session")
def made_timeline(network: MadeNetwork) -> Timeline:
    return timeline.recognise(network, is_loud, (talk(40.3), RATE))


def push_all(stream: Any, samples: NDArray[Any], sizes: Sequence[int]) -> list[timeline.Window]:
    """Push the samples in chunks that cycle through these sizes, then finish."""
    windows, start, turn = [], 0, 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        windows += stream.push(samples[start : start + size])
        start, turn = start + size, turn + 1
    return windows + stream.finish()
