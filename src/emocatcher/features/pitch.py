"""Track the pitch of the voice and its periodicity, frame by frame, from the same spectrum as the mel bands.

The autocorrelation of a frame is the cosine transform of its power spectrum (Wiener and Khinchin). Divided by the
autocorrelation of the window, it is 1 at every period of a steady voice, however few periods the window contains
(Boersma 1993, "Accurate short-term analysis of the fundamental frequency"). It is computed at candidate periods spaced
evenly in octaves. A single frame often does not determine the period, because twice the period correlates as well, but
the pitch of a voice changes slowly. So the pitch is modelled as a hidden Markov chain: each step's candidates are
weighted by all paths through the steps around it (the forward-backward algorithm: Rabiner 1989, "A tutorial on hidden
Markov models"). The result is the weighted mean of the candidates, not the best one, so that rounding does not decide
between two candidates of nearly equal likelihood, and other implementations give the same pitch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emocatcher.features.matrix_products import multiply
from emocatcher.foundation.settings import FrontEnd, Pitch

_RESTART = 1e-4  # likelihood of a step to any candidate, relative to the most likely step
_PASSES_PER_SCALING = 4  # after which rows are scaled to a maximum of 1 again
SILENCE = 1e-6  # power of a frame with samples in -1 … 1: the level that silence in a recording may have


def candidates_hz(settings: Pitch) -> NDArray[np.float64]:
    """Return the candidate fundamental frequencies in rising order, Hz, shape (n_candidates,)."""
    return np.geomspace(settings.f_min, settings.f_max, settings.n_candidates)


def candidate_filters(front_end: FrontEnd, settings: Pitch, bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the matrix from a frame's power spectrum to its autocorrelation.

    Args:
        front_end: computes the spectrum; its transform is long enough that the autocorrelation hardly wraps around.
        settings: determines the periods.
        bins: shape (n_bins,), indices of the spectrum's bins.

    Returns:
        shape (n_bins, n_candidates + 1): for the autocorrelation at each candidate's period, divided by that of the
        window, and, in the last column, at lag 0, the frame's power.
    """
    n_fft = front_end.n_fft
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(front_end.win_length) / front_end.win_length)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, n_fft)) ** 2, n_fft)[: n_fft // 2 + 1]
    periods = front_end.sample_rate / candidates_hz(settings)
    expected = np.interp(periods, np.arange(len(of_window)), of_window / of_window[0])
    waves = np.cos(2.0 * np.pi / n_fft * np.outer(bins, periods)) / expected
    # Every bin but the first and the last also represents its mirror image; the first, the mean, is left out.
    used = (bins > 0) & (bins * front_end.sample_rate <= settings.highest_hz * n_fft)
    weights = used * np.where(2 * bins == n_fft, 1.0, 2.0)
    return np.concatenate([waves, np.ones((len(bins), 1))], axis=1) * weights[:, None]


def correlations(measured: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide the filters' output, shape (n_frames, n_candidates + 1), by its last column; results are about -1…1."""
    return measured[:, :-1] / (measured[:, -1:] + np.float32(SILENCE))


def track(frame_correlations: NDArray[np.float32], settings: Pitch) -> NDArray[np.float32]:
    """Track the pitch of one clip.

    Args:
        frame_correlations: shape (n_frames, n_candidates), `correlations` of all its frames.
        settings: settings of the pitch tracker.

    Returns:
        shape (2, n_frames), float32: the pitch in octaves above 1 Hz, and the periodicity, which is the correlation at
        that pitch, 0…1: the share of the frame's power that is voice of that pitch.

    Examples:
        >>> settings = Pitch()
        >>> frame_correlations = np.zeros((9, settings.n_candidates), np.float32)
        >>> frame_correlations[:, 20] = 1.0
        >>> octaves, periodicity = track(frame_correlations, settings)
        >>> bool(abs(2.0 ** octaves[4] - candidates_hz(settings)[20]) < 2.0), bool(periodicity[4] > 0.95)
        (True, True)
    """
    n_frames, per_step = len(frame_correlations), settings.frames_per_step
    if n_missing := -n_frames % per_step:
        frame_correlations = np.concatenate([frame_correlations, np.repeat(frame_correlations[-1:], n_missing, axis=0)])
    steps = np.array(frame_correlations[::per_step])
    for frame in range(1, per_step):
        steps += frame_correlations[frame::per_step]
    steps *= np.float32(1.0 / per_step)
    octaves, favour, change = chain_parameters(settings)
    likely = steps + favour
    likely *= np.float32(settings.sharpness)
    likely -= likely.max(axis=1, keepdims=True)
    np.exp(likely, out=likely)
    weights = _combine_steps(likely, change, settings.reach)
    tracks = np.stack([weights @ octaves, np.einsum("ij,ij->i", weights, steps)])
    tracks /= weights.sum(axis=1)
    np.clip(tracks[1], 0.0, 1.0, out=tracks[1])
    return np.repeat(tracks, per_step, axis=1)[:, :n_frames]


def _combine_steps(likely: NDArray[np.float32], change: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Return the likelihood of each candidate given the steps before and after; each row up to a factor.

    Args:
        likely: shape (n_steps, n_candidates), likelihoods from each step alone; each row's largest is 1.
        change: from `chain_parameters`.
        reach: number of steps to either side that are included; each pass extends them by one step.
    """
    before, after = np.ones_like(likely), np.ones_like(likely)
    weighed = np.empty_like(likely)
    for number in range(1, reach + 1):
        np.multiply(before, likely, out=weighed)
        multiply(weighed[:-1], change, out=before[1:])
        np.multiply(after, likely, out=weighed)
        multiply(weighed[1:], change, out=after[:-1])
        # Only ratios within a row matter. After a pass, a row's largest value is at most n_candidates / _RESTART times
        # its smallest, and it has fallen by at most that factor: float32 can represent four passes, but not eight.
        if number % _PASSES_PER_SCALING == 0 or number == reach:
            before /= before.max(axis=1, keepdims=True)
            after /= after.max(axis=1, keepdims=True)
    before *= likely
    before *= after
    return before


@lru_cache(maxsize=8)
def chain_parameters(settings: Pitch) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the parameters of the hidden Markov chain.

    Returns:
        the candidates in octaves, and the bonus of each for being higher, both of shape (n_candidates,); and the
        likelihood of a step between each two, shape (n_candidates, n_candidates), symmetric, the largest 1. A voice
        may also start again at any pitch, so none is 0.
    """
    octaves = np.log2(candidates_hz(settings))
    favour = settings.favour_high * (octaves - octaves[0])
    cost = settings.change_cost * np.abs(octaves[:, None] - octaves)
    change = np.exp(-settings.sharpness * cost) + _RESTART
    return octaves.astype(np.float32), favour.astype(np.float32), (change / change.max()).astype(np.float32)
