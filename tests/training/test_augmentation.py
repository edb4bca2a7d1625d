"""Augmentation: the change of each property, its limits, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.features import extraction, mel
from emocatcher.foundation.settings import Augmentation, load_preset
from emocatcher.training.augmentation import Augmenter

RECIPE = load_preset("emocatcher-2")
FRONT_END = RECIPE.front_end
N_MELS = FRONT_END.n_mels


def clip(n_frames: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-40.0, 10.0, (N_MELS, n_frames)).astype(np.float32)


def vary(seed: int = 0, log_mel: np.ndarray | None = None, **changes: float) -> np.ndarray:
    augmenter = Augmenter(Augmentation(**changes), FRONT_END)
    return augmenter(clip() if log_mel is None else log_mel, np.random.default_rng(seed))


def test_without_settings_nothing_changes() -> None:
    assert np.array_equal(vary(), clip())


def test_gain_shifts_all_cells_equally_within_its_limit() -> None:
    gains = [vary(seed, gain_db=6.0) - clip() for seed in range(50)]
    assert max(float(np.ptp(gain)) for gain in gains) < 1e-4
    assert max(abs(float(gain.mean())) for gain in gains) <= 6.0
    assert min(float(gain.mean()) for gain in gains) < -3.0 < 3.0 < max(float(gain.mean()) for gain in gains)


def test_tempo_stretches_time_within_its_limits() -> None:
    ramp = np.broadcast_to(np.linspace(-60.0, 0.0, 101, dtype=np.float32), (N_MELS, 101))
    lengths = set()
    for seed in range(40):
        varied = vary(seed, ramp, tempo=0.2)
        lengths.add(varied.shape[1])
        np.testing.assert_allclose(varied[0], np.linspace(-60.0, 0.0, varied.shape[1]), atol=1e-3)
    assert min(lengths) >= 84  # 101 / 1.2
    assert max(lengths) <= 127  # 101 / 0.8
    assert max(lengths) - min(lengths) > 20


@pytest.mark.parametrize("hz", [300.0, 1000.0, 3000.0])
def test_pitch_moves_a_tone_within_its_limits(hz: float) -> None:
    time_s = np.arange(FRONT_END.sample_rate) / FRONT_END.sample_rate
    tone = extraction.log_mel_spectrogram(np.sin(2 * np.pi * hz * time_s).astype(np.float32), FRONT_END)
    centres = mel.centres_hz(FRONT_END)

    def peak_hz(log_mel: np.ndarray) -> float:
        power = 10.0 ** (log_mel.mean(axis=1) / 10.0)
        best = int(power.argmax())
        near = slice(max(best - 2, 0), best + 3)
        return float((centres[near] * power[near]).sum() / power[near].sum())

    moved = [peak_hz(vary(seed, tone, pitch=0.2)) / peak_hz(tone) for seed in range(60)]
    assert 1 / 1.2 - 0.06 <= min(moved) < 0.9
    assert 1.1 < max(moved) <= 1 / 0.8 + 0.06


def test_the_pitch_row_moves_with_the_bands_and_is_not_interpolated_over_time() -> None:
    octaves = np.where(np.arange(60) < 30, 7.0, 8.0)
    channels = np.concatenate([clip(), [octaves, np.linspace(0.0, 1.0, 60)]]).astype(np.float32)
    moved = [vary(seed, channels, tempo=0.3, pitch=0.2) for seed in range(40)]
    for varied in moved:
        low, high = np.unique(varied[-2])  # two pitches as before, none between them
        assert high - low == pytest.approx(1.0, abs=1e-5)
        assert 1 / 1.2 - 1e-3 <= 2.0 ** (low - 7.0) <= 1 / 0.8 + 1e-3
        assert (np.diff(varied[-1]) >= 0.0).all()
        assert (varied[-1, 0], varied[-1, -1]) == (0.0, 1.0)
    assert min(varied[-2, 0] for varied in moved) < 6.85
    assert max(varied[-2, 0] for varied in moved) > 7.15
    # Taken from the nearest frame.
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32), channels.shape)
    for seed in range(10):
        varied = vary(seed, ramp, tempo=0.3)
        assert np.abs(varied[-1] - varied[0]).max() <= 0.501
    # By the same factor as the spectrum: the peak of a tone at a band's centre moves with the pitch row.
    centres = mel.centres_hz(FRONT_END)
    tone = np.full((N_MELS + 2, 20), -60.0, np.float32)
    tone[50], tone[-2] = 0.0, np.log2(centres[50])
    for seed in range(10):
        varied = vary(seed, tone, pitch=0.2)
        loudest = 10.0 ** (varied[:N_MELS, 0] / 10.0)
        assert 2.0 ** varied[-2, 0] == pytest.approx(centres @ loudest / loudest.sum(), rel=0.03)


def test_tilt_is_smooth_over_bands_and_constant_over_time() -> None:
    change = vary(3, tilt_db=3.0) - clip()
    assert float(np.ptp(change, axis=1).max()) < 1e-3
    assert 0.5 < float(np.abs(change[:, 0]).max()) < 20.0
    assert float(np.abs(np.diff(change[:, 0])).max()) < 1.0


@given(n_frames=st.integers(1, 40), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_shapes_and_types_are_valid_for_any_clip(n_frames: int, seed: int) -> None:
    log_mel = clip(n_frames, seed)
    varied = vary(seed, log_mel, tempo=0.5, pitch=0.3, gain_db=6.0, tilt_db=2.0)
    assert varied.dtype == np.float32
    assert varied.shape[0] == N_MELS
    assert min(n_frames, 8) <= varied.shape[1] <= 2 * n_frames + 1
    assert np.isfinite(varied).all()


def test_the_same_seed_gives_the_same_clip_and_the_source_is_unchanged() -> None:
    log_mel = clip()
    kept = log_mel.copy()
    augmenter = Augmenter(RECIPE.augmentation, FRONT_END)
    first, again, other = (augmenter(log_mel, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert np.array_equal(log_mel, kept)


@pytest.mark.parametrize("n_frames", [1, 5, 8, 9, 100, 333])
def test_the_number_of_frames_is_known_before_the_clip_is_varied(n_frames):
    augmenter = Augmenter(RECIPE.augmentation, FRONT_END)
    random = np.random.default_rng(n_frames)
    for _ in range(20):
        variation = augmenter.draw(random)
        varied = augmenter.vary(np.zeros((FRONT_END.n_channels, n_frames), np.float32), variation)
        assert varied.shape == (FRONT_END.n_channels, augmenter.n_frames(n_frames, variation))
