"""Small recordings, and a corpus of them with all that an utterance can have."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.dimensions import Dimension

RATE = 16_000


def sound(level: float, seconds: float = 0.1) -> bytes:
    buffer = io.BytesIO()
    samples = level * np.sin(np.arange(round(seconds * RATE), dtype=np.float32))
    soundfile.write(buffer, samples, RATE, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def put(path: Path, level: float = 0.1, seconds: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sound(level, seconds))
    return path


def corpus(folder: Path, *, segments: bool = False) -> Corpus:
    """Eight utterances of four speakers, one of them without a label; or segments of four recordings."""
    emotions = ("neutral", "happy", "bored, or so", "neutral", "happy", "bored, or so", "neutral", "")
    made = []
    for number, emotion in enumerate(emotions):
        name = number // 2 if segments else number
        path = put(folder / f"s {name % 2}" / f"{name:02d}.wav", 0.1 * (name + 1), 1.0 if segments else 0.1)
        one = Utterance(
            id=f"clip {number}", path=path, emotion=emotion, speaker=f"{number // 2:02d}",
            gender=("female", "male")[number // 2 % 2], age=20 + number // 2, intensity="strong" if number else None,
            start_s=0.5 * (number % 2) if segments else None, end_s=0.5 if segments and not number % 2 else None,
            votes=((emotion, 0.75), ("happy", 0.25)) if emotion == "neutral" else None,
            dimensions=(("arousal", 1.0 + number % 5),) if emotion else (),
        )  # fmt: skip
        made.append(one)
    return Corpus(
        name="made", utterances=tuple(made[:-1]), unlabelled=tuple(made[-1:]), licence="CC BY 4.0",
        labels=("neutral", "happy", "bored, or so"), dimensions=(Dimension("arousal", 1, 5),),
    )  # fmt: skip
