"""Matching many fingerprints finds every pair of one recording, and no other."""

from __future__ import annotations

import numpy as np
import pytest

from emocatcher import audio, corpora
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.audit.fingerprint import SAMPLE_RATE, Fingerprint, compare, fingerprint
from emocatcher.evaluation.audit.matching import match

from .conftest import encoded


@pytest.fixture(scope="module")
def waveforms(voices: Corpus) -> list[np.ndarray]:
    return [audio.load(utterance.path, SAMPLE_RATE)[0] for utterance in voices.utterances[:60]]


@pytest.fixture(scope="module")
def fingerprints(waveforms: list[np.ndarray]) -> list[Fingerprint]:
    return [fingerprint(waveform) for waveform in waveforms]


def test_synthetic_voices_do_not_match(fingerprints: list[Fingerprint]) -> None:
    assert match(fingerprints) == []


def test_a_copy_is_found_among_many(fingerprints: list[Fingerprint], waveforms: list[np.ndarray]) -> None:
    copies = [encoded(np.r_[np.zeros(80), waveforms[i]], SAMPLE_RATE, "mp3", 32_000) for i in (3, 41)]
    found = match([*fingerprints, *(fingerprint(audio.load(copy, SAMPLE_RATE)[0]) for copy in copies)])
    assert [(one.first, one.second) for one in found] == [(3, 60), (41, 61)]
    assert all(one.similarity.shift < 0 for one in found)  # the content is later in the second


def test_a_copy_without_any_equal_word_is_found() -> None:
    """Only the least certain bits of every word have flipped."""
    random = np.random.default_rng(2)
    words, others = random.integers(0, 2**32, (2, 300), dtype=np.uint32)
    weakest = np.full(300, 0b1000_0000_0100_0001, np.uint32)
    original = Fingerprint(words, weakest, weakest)
    flipped = Fingerprint(words ^ (weakest & random.integers(1, 2**32, 300, dtype=np.uint32) | 1), weakest, weakest)
    assert not np.isin(flipped.words, words).any()
    (found,) = match([original, Fingerprint(others, weakest, weakest), flipped])
    assert (found.first, found.second, found.similarity.bit_error_rate) == (0, 2, 0)


def test_a_match_equals_the_result_of_a_search_over_all_shifts(
    fingerprints: list[Fingerprint], waveforms: list[np.ndarray]
) -> None:
    copy = fingerprint(waveforms[7][1_003:])
    (found,) = match([*fingerprints, copy])
    assert (found.first, found.second) == (7, 60)
    assert found.similarity == compare(fingerprints[7], copy)


def test_many_copies_all_match_each_other(waveforms: list[np.ndarray]) -> None:
    noise = np.random.default_rng(0)
    copies = [
        fingerprint((waveforms[0] + 1e-4 * noise.standard_normal(len(waveforms[0]))).astype(np.float32))
        for _ in range(9)
    ]
    assert len(match(copies)) == 9 * 8 // 2


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_fingerprints_match_nothing(fingerprints: list[Fingerprint], n: int) -> None:
    assert match(fingerprints[:n]) == []


def test_silence_matches_nothing() -> None:
    silence = fingerprint(np.zeros(SAMPLE_RATE, np.float32))
    assert match([silence] * 3) == []


def test_hums_do_not_match(fingerprints: list[Fingerprint]) -> None:
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(0)
    hums = [
        fingerprint((np.sin(2 * np.pi * 400 * time) + 1e-3 * noise.standard_normal(len(time))).astype(np.float32))
        for _ in range(4)
    ]
    assert match([*fingerprints, *hums]) == []


@pytest.mark.corpus
@pytest.mark.slow
@pytest.mark.long  # test_audit.py finds the pair among the same recordings
def test_only_the_identical_clips_of_ravdess_match(ravdess_dir) -> None:
    utterances = corpora.load(str(ravdess_dir)).utterances
    fingerprints = [fingerprint(audio.load(utterance.path, SAMPLE_RATE)[0]) for utterance in utterances]
    found = [{utterances[one.first].id, utterances[one.second].id} for one in match(fingerprints)]
    assert found == [{"03-01-03-01-02-01-07", "03-01-03-01-02-02-07"}]
