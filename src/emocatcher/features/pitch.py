"""How high the voice is, frame by frame, and how sure that is: from the same spectrum as the mel bands.

The autocorrelation of a frame is the cosine transform of its power spectrum (Wiener and Khinchin); over that of its
window it is 1 at every period of a steady voice, however few periods the window holds (Boersma 1993, "Accurate
short-term analysis of the fundamental frequency"). It is taken at periods that are spaced evenly in octaves. Which of
them is the voice's, one frame alone often cannot tell, for twice the period correlates as well; but a voice glides. So
the pitch is taken as a hidden Markov chain, each step's candidates weighed by all ways over the steps around it (sums
and products forward and backward: Rabiner 1989, "A tutorial on hidden Markov models"), and their mean is the answer:
no frame is decided by chance where two are nearly as likely, so that other arithmetic finds the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.settings import FrontEnd, Pitch

_ANEW = 1e-4  # how likely a step to anywhere is, beside the likeliest
_PASSES_HELD = 4  # until rows are scaled to a maximum of 1 again
SILENCE = 1e-6  # power of a frame, of samples in -1 … 1: what the silence of a file may have


def candidates_hz(settings: Pitch) -> NDArray[np.float64]:
    """The fundamental frequencies that are looked for, rising, shape (n_candidates,)."""
    return np.geomspace(settings.f_min, settings.f_max, settings.n_candidates)


def candidate_filters(front_end: FrontEnd, settings: Pitch, bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """What takes a frame's power spectrum to its autocorrelation.

    Args:
        front_end: that makes the spectrum; its transform is long enough that little of it comes round.
        settings: which periods.
        bins: shape (n_bins,), numbers of the spectrum's bins.

    Returns:
        shape (n_bins, n_candidates + 1): the autocorrelation at each candidate's period, over the window's own, and,
        last, at 0: the frame's power.
    """
    n_fft = front_end.n_fft
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(front_end.win_length) / front_end.win_length)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, n_fft)) ** 2, n_fft)[: n_fft // 2 + 1]
    periods = front_end.sample_rate / candidates_hz(settings)
    expected = np.interp(periods, np.arange(len(of_window)), of_window / of_window[0])
    waves = np.cos(2.0 * np.pi / n_fft * np.outer(bins, periods)) / expected
    # Every bin but the first and the last stands for its mirror image too; the first, the mean, is left out.
    is_heard = (bins > 0) & (bins * front_end.sample_rate <= settings.highest_hz * n_fft)
    weights = is_heard * np.where(2 * bins == n_fft, 1.0, 2.0)
    return np.concatenate([waves, np.ones((len(bins), 1))], axis=1) * weights[:, None]


def correlations(measured: NDArray[np.float32]) -> NDArray[np.float32]:
    """From what the filters gave, shape (n_frames, n_candidates + 1), to correlations, one column fewer, about -1…1."""
    return measured[:, :-1] / (measured[:, -1:] + np.float32(SILENCE))


def track(of_frames: NDArray[np.float32], settings: Pitch) -> NDArray[np.float32]:
    """Follow the pitch of one clip.

    Args:
        of_frames: shape (n_frames, n_candidates), `correlations` of all its frames.
        settings: how.

    Returns:
        shape (2, n_frames), float32: the pitch in octaves above 1 Hz, and the correlation there, 0…1, which says how
        much of the frame is voice of that pitch.

    Examples:
        >>> settings = Pitch()
        >>> of_frames = np.zeros((9, settings.n_candidates), np.float32)
        >>> of_frames[:, 20] = 1.0
        >>> octaves, periodicity = track(of_frames, settings)
        >>> bool(abs(2.0 ** octaves[4] - candidates_hz(settings)[20]) < 2.0), bool(periodicity[4] > 0.95)
        (True, True)
    """
    n_frames, per_step = len(of_frames), settings.frames_per_step
    if n_missing := -n_frames % per_step:
        of_frames = np.concatenate([of_frames, np.repeat(of_frames[-1:], n_missing, axis=0)])
    steps = np.array(of_frames[::per_step])
    for frame in range(1, per_step):
        steps += of_frames[frame::per_step]
    steps *= np.float32(1.0 / per_step)
    octaves, favour, change = scales(settings)
    likely = steps + favour
    likely *= np.float32(settings.sharpness)
    likely -= likely.max(axis=1, keepdims=True)
    np.exp(likely, out=likely)
    weights = _heard(likely, change, settings.reach)
    tracks = np.stack([weights @ octaves, np.einsum("ij,ij->i", weights, steps)])
    tracks /= weights.sum(axis=1)
    np.clip(tracks[1], 0.0, 1.0, out=tracks[1])
    return np.repeat(tracks, per_step, axis=1)[:, :n_frames]


def _heard(likely: NDArray[np.float32], change: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """How likely each candidate is, given what the steps before and after say of it; each row up to a factor.

    Args:
        likely: shape (n_steps, n_candidates), of each step by itself, the likeliest 1.
        change: of `scales`.
        reach: how many steps to either side have a say; each pass lets them hear one step further.
    """
    before, after = np.ones_like(likely), np.ones_like(likely)
    weighed = np.empty_like(likely)
    for number in range(1, reach + 1):
        np.multiply(before, likely, out=weighed)
        np.matmul(weighed[:-1], change, out=before[1:])
        np.multiply(after, likely, out=weighed)
        np.matmul(weighed[1:], change, out=after[:-1])
        # Only ratios within a row count. A pass leaves no more than n_candidates / _ANEW between a row's largest and
        # its smallest, and lets the largest fall by no more than that: float32 holds four of them, and not eight.
        if number % _PASSES_HELD == 0 or number == reach:
            before /= before.max(axis=1, keepdims=True)
            after /= after.max(axis=1, keepdims=True)
    before *= likely
    before *= after
    return before


@lru_cache(maxsize=8)
def scales(settings: Pitch) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What the candidates are, and what is expected of them.

    Returns:
        the candidates in octaves, and what each is ahead for being higher, both of shape (n_candidates,); and how
        likely a step from each to each is, shape (n_candidates, n_candidates), symmetric, the likeliest 1. A voice
        may also begin anew anywhere, so none is 0.
    """
    octaves = np.log2(candidates_hz(settings))
    favour = settings.favour_high * (octaves - octaves[0])
    cost = settings.change_cost * np.abs(octaves[:, None] - octaves)
    change = np.exp(-settings.sharpness * cost) + _ANEW
    return octaves.astype(np.float32), favour.astype(np.float32), (change / change.max()).astype(np.float32)
