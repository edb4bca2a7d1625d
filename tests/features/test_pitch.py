"""The pitch of sounds of known pitch, and the chain compared with a sum over all its paths."""

from __future__ import annotations

from itertools import pairwise, product

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.features import extraction, pitch
from emocatcher.foundation.settings import FrontEnd, Pitch, load_preset

FRONT_END = load_preset("emocatcher-2").front_end
RATE, HOP = FRONT_END.sample_rate, FRONT_END.hop_length
PITCH = FRONT_END.pitch or Pitch()
SEMITONE = 1.0 / 12.0


def voice(hz: np.ndarray, loudness: float = 0.2) -> np.ndarray:
    """Return harmonics up to 4 kHz that fall by 6 dB per octave; `hz` is the fundamental frequency of each sample."""
    turns = np.cumsum(hz) / RATE
    harmonics = [np.where(k * hz < 4000.0, np.sin(2 * np.pi * k * turns + k), 0.0) / k for k in range(1, 41)]
    return np.asarray(loudness * sum(harmonics), np.float32)


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, n_samples).astype(np.float32)


def tracked(waveform: np.ndarray) -> np.ndarray:
    return extraction.compute_channels(waveform, FRONT_END)[FRONT_END.n_mels :]


@pytest.mark.parametrize("hz", [100.0, 120.0, 210.0, 333.0, 500.0])
def test_the_pitch_of_a_steady_voice_is_found(hz: float) -> None:
    octaves, periodicity = tracked(voice(np.full(RATE, hz)))[:, 4:-4]
    assert np.abs(octaves - np.log2(hz)).max() < SEMITONE
    assert periodicity.min() > 0.5
    assert periodicity.mean() > 0.75


@pytest.mark.parametrize(("start", "end"), [(110.0, 220.0), (400.0, 180.0)])
def test_a_glide_is_tracked(start: float, end: float) -> None:
    hz = np.geomspace(start, end, RATE)
    octaves, periodicity = tracked(voice(hz))
    true = np.log2(hz[np.minimum(np.arange(len(octaves)) * HOP, len(hz) - 1)])
    assert np.abs(octaves - true)[4:-4].max() < SEMITONE
    assert periodicity[4:-4].min() > 0.7


def test_the_pitch_does_not_depend_on_level_or_offset() -> None:
    waveform = voice(np.geomspace(100.0, 300.0, RATE))
    np.testing.assert_allclose(tracked(0.05 * waveform)[0], tracked(waveform)[0], atol=0.01)
    np.testing.assert_allclose(tracked(waveform + 0.1)[0, 4:-4], tracked(waveform)[0, 4:-4], atol=SEMITONE)


def test_noise_and_silence_have_low_periodicity() -> None:
    assert tracked(noise(RATE))[1].max() < 0.5
    silent = tracked(np.zeros(RATE, np.float32))
    assert np.isfinite(silent).all()
    assert silent[1].max() == 0.0
    assert tracked(np.zeros(1, np.float32)).shape == (2, 1)


def test_neighbouring_frames_resolve_an_ambiguous_octave() -> None:
    """For a fifth of a second, half the frequency correlates better, as in a creaky voice."""
    frame_correlations = np.zeros((60, PITCH.n_candidates), np.float32)
    hz = pitch.candidates_hz(PITCH)
    low, high = (int(np.abs(hz - target).argmin()) for target in (110.0, 220.0))
    frame_correlations[:, high], frame_correlations[:, low] = 0.9, 0.85
    frame_correlations[28:32, low] = 1.0
    octaves, _ = pitch.track(frame_correlations, PITCH)
    alone, _ = pitch.track(frame_correlations[28:32], PITCH)
    assert np.abs(octaves - np.log2(hz[high])).max() < SEMITONE
    assert alone.max() < np.log2(hz[high]) - 0.3


@given(
    steps=st.lists(st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3), min_size=1, max_size=5),
    sharpness=st.floats(0.5, 20.0),
    change_cost=st.floats(0.0, 2.0),
    favour_high=st.floats(0.0, 0.2),
)
@settings(max_examples=50, deadline=None)
def test_the_pitch_is_the_mean_over_all_paths(
    steps: list[list[float]], sharpness: float, change_cost: float, favour_high: float
) -> None:
    chain = Pitch(
        n_candidates=3, frames_per_step=1, reach=4, sharpness=sharpness, change_cost=change_cost,
        favour_high=favour_high,
    )  # fmt: skip
    frame_correlations = np.array(steps, np.float32)
    octaves, favour, change = (np.asarray(part, np.float64) for part in pitch.chain_parameters(chain))
    total, weights = 0.0, np.zeros((len(steps), 3))
    for path in product(range(3), repeat=len(steps)):
        likely = np.exp(sharpness * sum(steps[t][c] + favour[c] - 1.0 for t, c in enumerate(path)))
        likely *= np.prod([change[a, b] for a, b in pairwise(path)])
        total += likely
        weights[np.arange(len(steps)), path] += likely
    weights /= total
    found = pitch.track(frame_correlations, chain)
    np.testing.assert_allclose(found[0], weights @ octaves, atol=1e-3)
    np.testing.assert_allclose(found[1], np.clip((weights * frame_correlations).sum(axis=1), 0.0, 1.0), atol=1e-3)


@given(seed=st.integers(0, 1000), reach=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_float32_suffices_however_the_candidates_jump(seed: int, reach: int) -> None:
    """Each step may jump from one end of the range to the other, with the highest possible certainty."""
    chain, dice = msgspec.structs.replace(PITCH, frames_per_step=1, reach=reach), np.random.default_rng(seed)
    frame_correlations = np.full((60, chain.n_candidates), -1.0, np.float32)
    frame_correlations[np.arange(60), dice.choice([0, chain.n_candidates - 1], 60)] = 1.0
    octaves, favour, change = (np.asarray(part, np.float64) for part in pitch.chain_parameters(chain))
    likely = np.exp((frame_correlations + favour) * chain.sharpness)
    before, after = np.ones_like(likely), np.ones_like(likely)
    for _ in range(reach):
        before[1:], after[:-1] = (before * likely)[:-1] @ change, (after * likely)[1:] @ change
        before /= before.sum(axis=1, keepdims=True)
        after /= after.sum(axis=1, keepdims=True)
    weights = likely * before * after
    found, _ = pitch.track(frame_correlations, chain)
    np.testing.assert_allclose(found, weights @ octaves / weights.sum(axis=1), atol=1e-3)


@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=6).filter(any), n_samples=st.integers(1, 20_000))
@settings(max_examples=20, deadline=None)
def test_a_stream_of_blocks_gives_the_channels_of_the_whole(sizes: list[int], n_samples: int) -> None:
    waveform = noise(n_samples) + voice(np.full(n_samples, 180.0))
    stream, parts, start, turn = extraction.FrameStream(FRONT_END), [], 0, 0
    while start < n_samples:
        size = sizes[turn % len(sizes)]
        parts.append(stream.push(waveform[start : start + size]))
        start, turn = start + size, turn + 1
    measured = np.concatenate([*parts, stream.finish()])
    joined = extraction.combine_frames(extraction.convert_frames(measured, FRONT_END), FRONT_END)
    np.testing.assert_allclose(joined, extraction.compute_channels(waveform, FRONT_END), atol=1e-3)


@pytest.mark.parametrize("highest_hz", [4000.0, 11_025.0])
def test_the_filters_are_the_autocorrelation_of_the_windowed_frame(highest_hz: float) -> None:
    """Divided by the window's autocorrelation, up to Nyquist, at periods of compute_channels samples."""
    rate, win_length, n_fft = 22_050, 512, 1024
    tracked = Pitch(f_min=rate / 300.0, f_max=rate / 50.0, n_candidates=2, highest_hz=highest_hz)
    front_end = msgspec.structs.replace(FRONT_END, f_max=11_025.0, pitch=tracked)
    frame, window = noise(win_length).astype(np.float64), np.hanning(win_length + 1)[:-1]
    spectrum = np.fft.rfft(frame * window, n_fft)
    spectrum[np.arange(len(spectrum)) * rate > highest_hz * n_fft] = 0.0
    spectrum[0] = 0.0
    filtered = np.fft.irfft(spectrum, n_fft)
    expected = [
        (filtered @ np.roll(filtered, lag))
        / (filtered @ filtered)
        / ((window[lag:] @ window[:-lag]) / (window @ window))
        for lag in (300, 50)
    ]
    measured = np.abs(spectrum) ** 2 @ pitch.candidate_filters(front_end, tracked, np.arange(len(spectrum)))
    np.testing.assert_allclose(measured[:-1] / measured[-1], expected, atol=1e-6)


def test_pitch_does_not_change_the_mel_bands() -> None:
    waveform = noise(RATE)
    # In dB. Not bit for bit: the order in which BLAS sums depends on the width of the matrix and on the machine.
    np.testing.assert_allclose(
        extraction.compute_channels(waveform, FRONT_END)[: FRONT_END.n_mels],
        extraction.log_mel_spectrogram(waveform, FRONT_END),
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"f_min": 800.0}, "does not hold"),
        ({"highest_hz": 600.0}, "does not hold"),
        ({"f_min": 40.0}, "too low for the window. Give at least 57 Hz"),
        ({"highest_hz": 9500.0}, "exceeds f_max 9000"),
        ({"n_candidates": 1}, "n_candidates"),
        ({"reach": -1}, "reach"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], message: str) -> None:
    builtins = msgspec.to_builtins(FRONT_END)
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(builtins | {"pitch": builtins["pitch"] | changes}, FrontEnd)
