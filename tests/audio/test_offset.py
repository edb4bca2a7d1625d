"""The offset of a waveform is removed, at once or while the waveform arrives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher import audio

RATE = 48_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def in_blocks(samples, n, sizes):
    remover, parts, start, turn = audio.OffsetRemover(n), [], 0, 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        parts.append(remover.push(samples[start : start + size]))
        start, turn = start + size, turn + 1
    return np.concatenate([*parts, remover.finish()])


@settings(deadline=None)
@given(
    n_samples=st.integers(0, 3000),
    n=st.integers(1, 4000),
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=6).filter(any),
    offset=st.floats(-0.5, 0.5),
)
def test_the_result_depends_neither_on_the_blocks_nor_on_the_offset(n_samples, n, sizes, offset):
    samples = NOISE[:n_samples]
    expected = in_blocks(samples, n, [3000])
    assert len(expected) == n_samples
    np.testing.assert_allclose(in_blocks(samples, n, sizes), expected, atol=1e-6)
    np.testing.assert_allclose(in_blocks(samples + np.float32(offset), n, sizes), expected, atol=1e-6)
    if n_samples <= n:
        np.testing.assert_allclose(expected, audio.remove_offset(samples), atol=1e-7)


def test_each_sample_loses_the_exponential_mean_of_the_samples_up_to_it():
    samples, n = NOISE[:3000], 60
    found, offset = in_blocks(samples, n, [7, 130, 2000]), samples[:n].mean(dtype=np.float64)
    np.testing.assert_allclose(found[:n], samples[:n] - offset, atol=1e-7)
    for place in range(n, len(samples)):
        offset += (samples[place] - offset) * 2 / n
        assert found[place] == pytest.approx(samples[place] - offset, abs=1e-6)


def test_digital_silence_after_a_sound_keeps_no_echo_of_it():
    silent = np.concatenate([NOISE, np.zeros(2 * RATE, np.float32)])
    rest = in_blocks(silent, RATE, [1000])[len(NOISE) :]
    assert np.abs(rest).max() < 1e-3
    # What is left only decays: every step is smaller than the one before.
    steps = np.abs(np.diff(rest[::1000].astype(np.float64)))
    assert (np.diff(steps) < 1e-8).all()


def test_a_drift_is_removed():
    drifting = NOISE + np.linspace(0.0, 1.0, len(NOISE), dtype=np.float32)
    assert abs(in_blocks(drifting, RATE // 10, [1000])[RATE:].mean()) < 0.03


@pytest.mark.parametrize("offset", [1e-3, 1e-2, 0.3])
def test_a_recording_for_recognition_equals_one_without_offset_up_to_its_ends(offset):
    # Resampled with the offset, the steps at both ends would ring.
    expected = audio.read((NOISE, RATE), 22_050).waveform
    shifted = (NOISE + np.float32(offset), RATE)
    np.testing.assert_allclose(audio.read(shifted, 22_050).waveform, expected, atol=1e-6)
    joined = np.concatenate(list(audio.blocks(shifted, 22_050, block_s=0.1, offset_s=2.0)))
    np.testing.assert_allclose(joined, expected, atol=1e-6)


def test_the_offset_of_a_segment_is_its_own():
    step = np.repeat(np.array([0.0, 0.4], np.float32), RATE)
    assert np.abs(audio.read((step, RATE), start_s=1.0, end_s=1.5).waveform).max() < 1e-6
