"""Generate and read the synthetic corpus: RAVDESS's file names, and silence of known length around each voice."""

from __future__ import annotations

import csv
import hashlib
import wave
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from emocatcher.corpora import ravdess
from emocatcher.corpora.places import staged
from emocatcher.corpora.synthesiser import SAMPLE_RATE, Delivery, Voice, synthesise
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError

LICENCE = "CC0 1.0 (made by emocatcher)"
TRUTH_NAME = "truth.csv"
# Part of the cached folder's name: raise it whenever a sample changes, so that no stale corpus is read.
VERSION = 1

_NOISE_FLOOR_DBFS = -75.0  # as in a studio
_SILENCE_S = (0.25, 0.5)  # range, at each end
_PEAK = 0.98  # of full scale

# Roughly "Kids are talking by the door" and "Dogs are sitting by the door". Both begin with a voiced consonant: an
# unvoiced one begins with a closure, so the silence before the voice would be longer than recorded in truth.csv.
_STATEMENTS = {
    "01": ("gi", "d@", "ta", "k@", "ba", "d@", "do"),
    "02": ("do", "g@", "si", "t@", "ba", "d@", "do"),
}
# The directions of change follow Scherer (2003, "Vocal communication of emotion", table 2) and Juslin & Laukka (2003);
# the sizes are our own, chosen so that the classes overlap.
_DELIVERIES = {
    "neutral": Delivery(0.0, 2.0, -1.5, 1.00, -30.0, 0.0, -30.0, 0.10, 0.0, 0.00),
    "calm": Delivery(-0.8, 1.3, -1.5, 0.91, -34.0, -1.2, -26.0, 0.07, 0.0, 0.00),
    "happy": Delivery(3.5, 4.5, 0.5, 1.08, -25.0, 1.0, -30.0, 0.12, 0.0, 0.04),
    "sad": Delivery(-0.5, 1.2, -3.0, 0.84, -36.0, -1.8, -20.0, 0.18, 0.3, -0.02),
    "angry": Delivery(3.0, 4.0, -3.0, 1.12, -21.0, 2.2, -28.0, 0.35, 0.0, 0.02),
    "fearful": Delivery(4.5, 2.0, 0.0, 1.14, -27.0, 0.2, -20.0, 0.30, 0.6, 0.01),
    "disgust": Delivery(-1.2, 3.0, -2.5, 0.88, -28.0, 0.8, -24.0, 0.40, 0.0, -0.04),
    "surprised": Delivery(4.5, 5.0, 6.0, 1.00, -25.0, 0.6, -26.0, 0.12, 0.0, 0.00),
}
_STRENGTHS = {"normal": 0.85, "strong": 1.35}  # how far a delivery goes from neutral
# Standard deviation between speakers for the same emotion, and also between clips of one speaker.
_SPREAD = Delivery(1.5, 1.0, 1.2, 0.06, 2.5, 0.8, 3.0, 0.07, 0.15, 0.02)


def generate(root: Path, *, n_voices: int = 24) -> None:
    """Generate the corpus atomically: 60 clips per voice, 16 kHz 16-bit WAV, and `truth.csv`.

    The same machine always generates the same bytes, because every random choice is seeded by the clip's name.

    Args:
        root: the folder to create; it must be missing or empty.
        n_voices: 1 to 24.

    Raises:
        CorpusError: if `n_voices` is out of range, or `root` is not empty.
    """
    if not 1 <= n_voices <= ravdess.N_ACTORS:
        raise CorpusError(f"n_voices is {n_voices}. Allowed: 1 to {ravdess.N_ACTORS}")
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise CorpusError(f"{root} already exists. Give a new folder for the synthetic corpus.")
    with staged(root) as staging:
        truth = [("utterance", "voiced_start_s", "voiced_end_s")]
        for clip_id in ravdess.clip_ids(n_voices):
            clip = ravdess.parse(Path(f"{clip_id}.wav"))
            folder = staging / f"Actor_{clip.speaker}"
            folder.mkdir(exist_ok=True)
            samples, start, end = _make(clip)
            _write_wav(folder / clip.path, samples)
            truth.append((clip_id, f"{start / SAMPLE_RATE:.6f}", f"{end / SAMPLE_RATE:.6f}"))
        with (staging / TRUTH_NAME).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(truth)


def read(root: Path) -> Corpus:
    """Read a corpus that `generate` made.

    Raises:
        CorpusError: if the folder contains no such clip, or one with an invalid name.
    """
    # Without notes: the one would be that the truth is no recording.
    return msgspec.structs.replace(ravdess.read(root), name="synthetic", licence=LICENCE, synthetic=True, notes=())


def _make(clip: Utterance) -> tuple[npt.NDArray[np.int16], int, int]:
    """Synthesise one clip; return its samples, and the first sample of its voice and the one after the last."""
    random = _random_for(clip.id)
    speaker, statement = clip.speaker or "", clip.statement or ""
    voiced = synthesise(_STATEMENTS[statement], _voice(speaker, clip.gender), _delivery(clip, random), random)
    voiced *= min(1.0, _PEAK / np.abs(voiced).max())
    before, after = (round(random.uniform(*_SILENCE_S) * SAMPLE_RATE) for _ in range(2))
    waveform = random.normal(0.0, 10 ** (_NOISE_FLOOR_DBFS / 20), before + voiced.size + after)
    waveform[before : before + voiced.size] += voiced
    return np.round(waveform * 32767).astype(np.int16), before, before + voiced.size


def _voice(speaker: str, gender: str | None) -> Voice:
    random = _random_for(f"voice {speaker}")
    pitch_hz, formant_scale = (112.0, 1.0) if gender == "male" else (200.0, 1.16)
    return Voice(
        pitch_hz=pitch_hz * 2 ** (random.normal(0, 1.8) / 12),
        formant_scale=formant_scale * random.uniform(0.95, 1.05),
        tilt_db=random.normal(0, 0.6),
        breath_db=random.normal(0, 2.0),
        tempo=random.uniform(0.95, 1.05),
        level_db=random.normal(0, 1.5),
    )


def _delivery(clip: Utterance, random: np.random.Generator) -> Delivery:
    """Interpolate from neutral towards the emotion by the intensity's strength, and add speaker and clip variation."""
    neutral, emotion, spread = (np.array(d) for d in (_DELIVERIES["neutral"], _DELIVERIES[clip.emotion], _SPREAD))
    of_speaker = _random_for(f"voice {clip.speaker} {clip.emotion}").standard_normal(spread.size)
    variation = spread * (of_speaker + random.standard_normal(spread.size)) / np.sqrt(2)
    return Delivery(*(neutral + _STRENGTHS[clip.intensity or "normal"] * (emotion - neutral) + variation).tolist())


def _random_for(name: str) -> np.random.Generator:
    # Python's built-in hash of a string differs between processes.
    seed = hashlib.blake2b(f"emocatcher synthetic {name}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(seed, "little"))


def _write_wav(path: Path, samples: npt.NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
