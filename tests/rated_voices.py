"""A made corpus with ratings whose truth is known: arousal drives pitch, tempo and brightness, but not the level."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.corpora.synthesiser import SAMPLE_RATE, Delivery, Voice, synthesise
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import load_preset

AROUSAL = Dimension("arousal", 1.0, 7.0)
_SYLLABLES = ("gi", "d@", "ba", "do")


def make(folder: Path, n_speakers: int, n_clips: int, noise: float) -> tuple[Corpus, float]:
    """Make a corpus of the labels "falling" and "rising", which do not depend on arousal.

    Args:
        folder: where the recordings are written.
        n_speakers: how many voices.
        n_clips: of each voice.
        noise: standard deviation of a rating around the truth, in units of that of the truth.

    Returns:
        the corpus, and the highest CCC that any estimate from the sound can have: the correlation of the ratings with
        the truth.
    """
    random = np.random.default_rng(0)
    truth = random.uniform(-1.0, 1.0, (n_speakers, n_clips))
    ratings = truth + random.normal(0.0, noise * truth.std(), truth.shape)
    inside = 4.0 + 3.0 * ratings / np.abs(ratings).max()  # all within 1 to 7
    utterances = []
    for speaker in range(n_speakers):
        high = speaker % 2
        voice = Voice(200.0 if high else 112.0, 1.16 if high else 1.0, *random.normal(0, 0.5, 2), 1.0, 0.0)
        for clip in range(n_clips):
            arousal, rising = truth[speaker, clip], bool(random.integers(2))
            delivery = Delivery(
                pitch_st=4.0 * arousal, range_st=2.0, final_st=6.0 if rising else -3.0, tempo=1.0 + 0.15 * arousal,
                level_db=random.uniform(-36.0, -22.0), tilt_db=2.0 * arousal, breath_db=-30.0, jitter_st=0.1,
                tremor_st=0.0, formant_shift=0.0,
            )  # fmt: skip
            samples = synthesise(_SYLLABLES, voice, delivery, random)
            path = folder / f"{speaker:02}-{clip:03}.wav"
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
                file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
            utterances.append(
                Utterance(
                    id=path.stem, path=path, speaker=f"{speaker:02}", emotion="rising" if rising else "falling",
                    dimensions=((AROUSAL.name, float(inside[speaker, clip])),),
                )
            )  # fmt: skip
    corpus = Corpus(
        name="rated", utterances=tuple(utterances), labels=("falling", "rising"), synthetic=True, dimensions=(AROUSAL,)
    )
    return corpus, float(np.corrcoef(ratings.ravel(), truth.ravel())[0, 1])


@pytest.fixture(scope="session")
def rated_run(
    tmp_path_factory: pytest.TempPathFactory, train_here: Callable[..., Any], small_network: tuple[str, ...]
) -> Any:
    """A `Finished` run of two folds on rated voices; the first clip of each has no rating. Not to be written to."""
    folder = tmp_path_factory.mktemp("rated")
    corpus, _ = make(folder, 4, 5, 0.5)
    rated = [u if n % 5 else msgspec.structs.replace(u, dimensions=()) for n, u in enumerate(corpus)]
    corpus = msgspec.structs.replace(corpus, utterances=tuple(rated))
    settings = load_preset("cabg", [*small_network, "training.n_epochs=4", "training.batch_size=4"])
    return train_here(folder / "run", corpus, "speakers-2", settings)
