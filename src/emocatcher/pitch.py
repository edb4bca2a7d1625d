"""How high the voice is, frame by frame, and how sure that is: from the same spectrum as the mel bands.

The autocorrelation of a frame is the cosine transform of its power spectrum (Wiener and Khinchin); over that of its
window it is 1 at every period of a steady voice, however few periods the window holds (Boersma 1993, "Accurate
short-term analysis of the fundamental frequency"). It is taken at periods that are spaced evenly in octaves, averaged
over neighbouring frames, and answered by a weighted mean of the periods where it is highest: no frame is decided by
chance where two are nearly as high, so that other arithmetic finds the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emocatcher.settings import FrontEnd, Pitch

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
    weights = np.where((bins > 0) & (bins * front_end.sample_rate <= settings.highest_hz * n_fft), 2.0, 0.0)
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
        >>> of_frames[:, 40] = 1.0
        >>> octaves, periodicity = track(of_frames, settings)
        >>> bool(abs(2.0 ** octaves[4] - candidates_hz(settings)[40]) < 1.0), float(periodicity[4].round(3))
        (True, 1.0)
    """
    n_frames, reach = len(of_frames), settings.smoothing_frames
    padded = np.pad(of_frames, ((reach, reach), (0, 0)))
    smooth = padded[:n_frames].copy()
    for offset in range(1, 2 * reach + 1):
        smooth += padded[offset : offset + n_frames]
    smooth *= np.float32(1.0 / (2 * reach + 1))
    octaves, favour = scales(settings)
    weights = (smooth + favour) * np.float32(settings.sharpness)
    weights -= weights.max(axis=1, keepdims=True)
    np.exp(weights, out=weights)
    total = weights.sum(axis=1)
    periodicity = np.clip((weights * smooth).sum(axis=1) / total, 0.0, 1.0)
    return np.stack([(weights * octaves).sum(axis=1) / total, periodicity]).astype(np.float32, copy=False)


@lru_cache(maxsize=8)
def scales(settings: Pitch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The candidates in octaves, and what each is ahead for being higher, both of shape (n_candidates,)."""
    octaves = np.log2(candidates_hz(settings)).astype(np.float32)
    return octaves, settings.favour_high * (octaves - octaves[0])
