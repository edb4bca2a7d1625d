"""The degradations of a stress test, and how a recording is degraded by each."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from emocatcher.audio import Waveform, degradation


class Recording(NamedTuple):
    """What a degradation is given."""

    waveform: Waveform  # (n_samples,)
    sample_rate: int  # Hz
    voiced: slice  # samples
    voices: Sequence[Waveform]  # of others, for a café, at the same rate


Degrade = Callable[[Recording, np.random.Generator], Waveform]


def _cafe(snr_db: float) -> Degrade:
    def degrade(clip: Recording, random: np.random.Generator) -> Waveform:
        noise = degradation.cafe(clip.voices, len(clip.waveform), clip.sample_rate, random)
        return degradation.add_noise(clip.waveform, noise, snr_db, clip.voiced)

    return degrade


def _room(size_m: tuple[float, float, float], rt60_s: float, distance_m: float) -> Degrade:
    def degrade(clip: Recording, random: np.random.Generator) -> Waveform:
        room = degradation.draw_room(random, size_m, rt60_s, distance_m)
        return degradation.reverberate(clip.waveform, clip.sample_rate, room, random)

    return degrade


def _cut(seconds: float) -> Degrade:
    def degrade(clip: Recording, random: np.random.Generator) -> Waveform:
        return degradation.cut(clip.waveform, round(seconds * clip.sample_rate), clip.voiced, random)

    return degrade


class Condition(NamedTuple):
    """One degradation."""

    title: str
    degrade: Degrade
    kind: str = ""  # what is random is drawn by the kind: a recording is in the same café at each ratio


CONDITIONS = {
    "telephone": Condition("telephone, 8 kHz, μ-law", lambda clip, _: degradation.telephone(*clip[:2])),
    "opus-16k": Condition("Opus, 16 kbit/s", lambda clip, _: degradation.code(*clip[:2], "opus-16k")),
    "cafe-20db": Condition("café, 20 dB", _cafe(20.0), "cafe"),
    "cafe-10db": Condition("café, 10 dB", _cafe(10.0), "cafe"),
    "cafe-5db": Condition("café, 5 dB", _cafe(5.0), "cafe"),
    "small-room": Condition("small room, 0.4 s, 1.5 m", _room((4.0, 3.5, 2.6), 0.4, 1.5), "room"),
    "large-room": Condition("large room, 0.8 s, 2.5 m", _room((10.0, 8.0, 3.5), 0.8, 2.5), "room"),
    "quiet": Condition("20 dB softer", lambda clip, _: degradation.amplify(clip.waveform, -20.0)),
    "clipped": Condition("clipped 15 dB below the peak", lambda clip, _: degradation.clip(clip.waveform, 15.0)),
    "cut-1s": Condition("1 s of the voice", _cut(1.0), "cut"),
}


def degrade(name: str, clip: Recording, utterance: str, seed: int) -> Waveform:
    """Degrade a recording by a condition; the same utterance and seed give the same result.

    Args:
        name: one of `CONDITIONS`.
        clip: the recording.
        utterance: its id.
        seed: of what is drawn.
    """
    condition = CONDITIONS[name]
    return condition.degrade(clip, generator(utterance, condition.kind, seed))


def generator(utterance: str, kind: str, seed: int) -> np.random.Generator:
    """Return the generator of an utterance for one kind of degradation."""
    return np.random.default_rng([seed, zlib.crc32(utterance.encode()), zlib.crc32(kind.encode())])
