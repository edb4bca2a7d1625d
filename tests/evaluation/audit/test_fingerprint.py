"""Fingerprints of copies match whatever was done to the copy, and fingerprints of different recordings do not."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import soxr

from emocatcher import audio
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.audit.fingerprint import HOP_S, SAMPLE_RATE, compare, fingerprint

from .conftest import encoded, wav

RATE = 48_000


def fingerprint_of(content: bytes):
    return fingerprint(audio.load(content, SAMPLE_RATE)[0])


@pytest.fixture(scope="module")
def clip(voices: Corpus) -> np.ndarray:
    """Shape (n,), at 48 kHz."""
    return audio.load(voices.utterances[17].path, RATE)[0]


def delayed(samples: np.ndarray, ms: float) -> np.ndarray:
    return np.concatenate([np.zeros(round(ms * RATE / 1000), np.float32), samples])


WAYS: dict[str, Callable[[np.ndarray], bytes]] = {
    "mp3, 10 ms delayed": lambda x: encoded(delayed(x, 10), RATE, "mp3"),
    "m4a": lambda x: encoded(x, RATE, "mp4"),
    "opus, 3 ms delayed": lambda x: encoded(delayed(x, 3), RATE, "ogg"),
    "at 8 kHz": lambda x: wav(soxr.resample(x, RATE, 8_000), 8_000),
    "at 44.1 kHz": lambda x: wav(soxr.resample(x, RATE, 44_100), 44_100),
    "20 dB quieter": lambda x: wav(x / 10, RATE),
    "its polarity turned": lambda x: wav(-x, RATE),
    "1234.5 ms delayed": lambda x: wav(delayed(x, 1234.5), RATE),
    "its first half": lambda x: wav(x[: len(x) // 2], RATE),
    "its second half": lambda x: wav(x[len(x) // 2 :], RATE),
    "its middle, as mp3 at 16 kHz": lambda x: encoded(
        soxr.resample(x[len(x) // 4 + 111 : -len(x) // 4], RATE, 16_000), 16_000, "mp3", 32_000
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_copy_matches_the_original(clip: np.ndarray, way: str) -> None:
    original, changed = fingerprint_of(wav(clip, RATE)), fingerprint_of(WAYS[way](clip))
    similarity = compare(original, changed)
    assert similarity is not None
    assert similarity.is_same, similarity
    assert compare(changed, original) is not None
    assert compare(changed, original).bit_error_rate == similarity.bit_error_rate


def test_a_fingerprint_matches_itself_exactly(clip: np.ndarray) -> None:
    own = fingerprint_of(wav(clip, RATE))
    similarity = compare(own, own)
    assert similarity is not None
    assert (similarity.bit_error_rate, similarity.shift, similarity.share) == (0, 0, 1)


@pytest.mark.parametrize("ms", [64, 200])
def test_the_shift_is_measured(clip: np.ndarray, ms: int) -> None:
    similarity = compare(fingerprint_of(wav(delayed(clip, ms), RATE)), fingerprint_of(wav(clip, RATE)))
    assert similarity is not None
    assert similarity.shift * HOP_S * 1000 == pytest.approx(ms, abs=5)


def test_two_noises_do_not_match() -> None:
    random = np.random.default_rng(5)
    one, other = (fingerprint(random.standard_normal(3 * SAMPLE_RATE).astype(np.float32)) for _ in range(2))
    similarity = compare(one, other)
    assert similarity is not None
    assert 0.3 < similarity.bit_error_rate < 0.5


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(SAMPLE_RATE, np.float32),
        np.full(SAMPLE_RATE, 0.5, np.float32),
        np.ones(1_000, np.float32),
        np.random.default_rng(1).standard_normal(SAMPLE_RATE // 3).astype(np.float32),
    ],
    ids=["nothing", "silence", "a constant", "less than a window", "a third of a second"],
)
def test_too_little_sound_gives_no_usable_fingerprint(samples: np.ndarray) -> None:
    own = fingerprint(samples)
    assert not own.is_usable
    assert compare(own, own) is None


def test_each_loud_frame_has_eight_weak_bits_including_three_weakest(clip: np.ndarray) -> None:
    own = fingerprint_of(wav(clip, RATE))
    loud = own.weakest != 0
    assert loud.sum() == own.n_loud
    assert set(np.bitwise_count(own.weakest[loud]).tolist()) == {3}
    assert set(np.bitwise_count(own.weak[loud]).tolist()) == {8}
    assert not (own.weakest & ~own.weak).any()


def test_long_recordings_are_processed_in_blocks_without_a_seam(clip: np.ndarray) -> None:
    long = np.tile(soxr.resample(clip, RATE, SAMPLE_RATE), 3)
    part = fingerprint(long[: len(long) // 2])
    assert np.array_equal(part.words[:50], fingerprint(long).words[:50])


@pytest.mark.corpus
def test_two_takes_do_not_match(ravdess_dir) -> None:
    """Takes of one sentence in one emotion at one intensity by one actor: the most similar recordings in RAVDESS."""
    takes = {}
    for path in sorted(ravdess_dir.rglob("03-01-0[35]-*-0[17].*")):
        takes.setdefault((path.stem[:14], path.stem[-2:]), []).append(fingerprint_of(path.read_bytes()))
    rates = sorted(compare(*pair).bit_error_rate for two in takes.values() for pair in itertools.combinations(two, 2))
    assert len(rates) == 16
    assert rates[0] == 0  # the identical clips
    assert rates[1] > 0.12
