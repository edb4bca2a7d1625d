"""Fit the gate of `emocatcher.speech`, and measure it on sounds that it was not fitted to.

    python benchmarks/speech.py --noise FOLDER … --voice FOLDER … [--fit]

Folders are searched for recordings; the real RAVDESS is a set of its own. Half of the files (by a checksum of their
names) is for fitting, the other half for the figures. The figures in RESULTS.md are of these sounds, all from Debian
packages: --noise tuxpaint-stamps-default (without its *_desc* files and its symbols), sonic-pi-samples, hedgewars-data
(sounds and music), extremetuxracer-data, frozen-bubble-data; --voice asterisk-core-sounds-{en,fr,ru}-wav,
tuxpaint-stamps-default's *_desc* files, klettres-data's syllables.
"""

from __future__ import annotations

import argparse
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emocatcher import audio, corpora, features, speech
from emocatcher.config import load_preset
from emocatcher.errors import AudioError

CABG = load_preset("cabg")
SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
LONG_S, PIECE_S, STARTS_S = 8.0, 4.0, (5.0, 30.0, 60.0)
FEWEST_S = 0.3


class Sound(NamedTuple):
    """One clip."""

    group: str
    name: str
    is_speech: bool
    waveform: audio.Waveform
    log_mel: Any

    @property
    def for_fitting(self) -> bool:
        """Whether it belongs to the half that the gate is fitted to."""
        return zlib.crc32(self.name.encode()) % 2 == 0


def main() -> None:
    """Read the folders, fit if asked, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", type=Path, nargs="+", default=[], help="folders of sounds without speech")
    parser.add_argument("--voice", type=Path, nargs="+", default=[], help="folders of other speech")
    parser.add_argument("--most", type=int, default=200, help="files of a folder")
    parser.add_argument("--fit", action="store_true", help="print new constants for emocatcher.speech")
    asked = parser.parse_args()
    sounds = [sound for folder in asked.noise for sound in read(folder, folder.name, False, asked.most)]
    sounds += [sound for folder in asked.voice for sound in read(folder, folder.name, True, asked.most)]
    if (ravdess := corpora.locate("ravdess")) is not None:
        sounds += read(ravdess, "ravdess", True, 480)
    if asked.fit:
        fit([sound for sound in sounds if sound.for_fitting])
    measure([sound for sound in sounds if not sound.for_fitting])


def read(folder: Path, group: str, is_speech: bool, most: int) -> list[Sound]:
    """The clips of a folder; of a long recording without speech a few pieces."""
    found = []
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    for path in sorted(paths, key=lambda path: zlib.crc32(str(path).encode()))[:most]:
        try:
            waveform, rate = audio.load(path, CABG.front_end.sample_rate)
        except AudioError:
            continue
        pieces = [waveform]
        if not is_speech and len(waveform) > LONG_S * rate:
            pieces = [waveform[int(start * rate) : int((start + PIECE_S) * rate)] for start in STARTS_S]
        for piece in pieces:
            if len(piece) >= FEWEST_S * rate:
                piece = piece[: int(LONG_S * rate)]
                log_mel = features.log_mel_spectrogram(piece, CABG.front_end)
                found.append(Sound(group, path.name, is_speech, piece, log_mel))
    return found


def fit(sounds: list[Sound]) -> None:
    """Print the gate's constants."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    numbers = np.array([speech.summary(sound.log_mel, speech.loudness_db(sound.log_mel)) for sound in sounds])
    true = np.array([sound.is_speech for sound in sounds])
    # RAVDESS is the largest set of voices, and the easiest.
    weights = np.array([0.5 if sound.group == "ravdess" else 1.0 for sound in sounds])
    scaler = StandardScaler().fit(numbers)
    gate = LogisticRegression(C=0.5, max_iter=5_000, class_weight="balanced")
    gate.fit(scaler.transform(numbers), true, sample_weight=weights)
    slopes = gate.coef_[0] / scaler.scale_
    print("bias", round(float(gate.intercept_[0] - (slopes * scaler.mean_).sum()), 4))
    print("weights", [round(float(slope), 4) for slope in slopes])


def measure(sounds: list[Sound]) -> None:
    """Print how many clips of each folder are said to hold no speech, and what the question costs."""
    answers: dict[str, list[tuple[bool, float]]] = {}
    for sound in sounds:
        started = time.perf_counter()
        heard = speech.has_speech(sound.waveform, CABG.front_end.sample_rate, sound.log_mel)
        answer = heard, (time.perf_counter() - started) * 1e3
        answers.setdefault(sound.group, []).append(answer)
        if not sound.is_speech:
            answers.setdefault("all without speech", []).append(answer)
    print(f"{'held-out half of':<32}{'clips':>6}{'no speech found':>17}{'median ms':>11}{'mean ms':>9}")
    for group, of_group in answers.items():
        heard, took = np.array(of_group).T
        print(f"{group:<32}{len(heard):>6}{1 - heard.mean():>17.1%}{np.median(took):>11.2f}{took.mean():>9.2f}")


if __name__ == "__main__":
    main()
