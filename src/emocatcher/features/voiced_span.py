"""Find the voiced span: where in a log-mel spectrogram the speech starts and ends.

This is the gradient detector of the published EmoCatcher (Kim Seonju 2023, `gvad`). Frames are sorted by loudness; the
steepest point of the sorted curve separates silence from speech.

It does not detect whether the sound is speech: a barking dog has a voiced span too.

A pop or click would widen the span, or raise the threshold above the speech. Frames that contain one do not count. A
click is found in the waveform, because a window of the spectrogram is longer than it: as a burst of at most some 20 ms
that is much louder than everything from 25 to 60 ms before and after it. Syllables are longer, the burst of a plosive
is close to its vowel, and the pulses of a creaky voice are close to each other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.foundation.settings import FrontEnd, VoiceActivity

_AMIN = 1e-5  # smallest amplitude before the logarithm, librosa's default

CLICK_BLOCK_S = 0.005  # in which the power of the waveform is compared
CLICK_NEAR, CLICK_FAR = 4, 12  # blocks: a click may reach up to the first, and is compared with those up to the second
CLICK_DB = 12.0  # by which it exceeds them; with this, RAVDESS keeps its spans
CLICK_FLOOR = 1e-10  # power


class VoicedSpan(NamedTuple):
    """The frames from `first` to `last` (exclusive)."""

    first: int
    last: int
    found: bool  # False: no frame exceeds the threshold, and the span is the whole clip

    @property
    def n_frames(self) -> int:
        """Number of frames in the span, at least 1."""
        return self.last - self.first


def clicks(waveform: audio.Waveform, n_frames: int, front_end: FrontEnd) -> NDArray[np.bool_]:
    """Find the frames whose window contains a click.

    Args:
        waveform: shape (n_samples,), float32, without offset; frame t is centred at sample t · hop_length.
        n_frames: number of frames.
        front_end: settings of the frames.

    Returns:
        shape (n_frames,).

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> pop = np.zeros(22_050, np.float32)
        >>> pop[11_000:11_100] = 0.1
        >>> np.flatnonzero(clicks(pop, 17, load_preset("cabg").front_end)).tolist()
        [8]
    """
    size = click_block(front_end)
    n_blocks = -(-len(waveform) // size)
    squares = np.zeros(n_blocks * size, np.float32)
    np.square(waveform, out=squares[: len(waveform)])
    power = squares.reshape(n_blocks, size).mean(axis=1)
    padded = np.full(n_blocks + 2 * CLICK_FAR, 10.0 * np.log10(CLICK_FLOOR), np.float32)
    level = padded[CLICK_FAR : CLICK_FAR + n_blocks]
    level[:] = 10.0 * np.log10(np.maximum(power, np.float32(CLICK_FLOOR)))
    around, reach = padded, 1  # the loudest of `reach` blocks from each on; a sliding window takes ten times as long
    while reach < CLICK_FAR - CLICK_NEAR:
        step = min(reach, CLICK_FAR - CLICK_NEAR - reach)
        around, reach = np.maximum(around[step:], around[:-step]), reach + step
    before, after = around[:n_blocks], around[CLICK_FAR + CLICK_NEAR + 1 :][:n_blocks]
    is_click = level - np.maximum(before, after) > CLICK_DB
    if not is_click.any():
        return np.zeros(n_frames, np.bool_)
    n_clicked = np.concatenate([[0], np.cumsum(is_click)])
    centres, half = np.arange(n_frames) * front_end.hop_length, front_end.win_length // 2
    first = np.minimum(np.maximum(centres - half, 0) // size, n_blocks)
    last = np.minimum((centres + half + size - 1) // size, n_blocks)
    return np.asarray(n_clicked[last] > n_clicked[first])


def click_block(front_end: FrontEnd) -> int:
    """Return the number of samples in which the power of the waveform is compared."""
    return max(round(CLICK_BLOCK_S * front_end.sample_rate), 1)


def detect(
    log_mel: NDArray[np.float32], settings: VoiceActivity, clicked: NDArray[np.bool_] | None = None
) -> VoicedSpan:
    """Find the voiced span of one clip.

    The span is defined for every input. If no frame exceeds the threshold (digital silence, a constant tone, a single
    frame), or the rule below gives an empty span, the result is the whole clip with `found=False`.

    The rule, as published: power is converted with 20·log10 once more (so differences in dB double) and floored below
    its maximum, and the whole matrix is scaled to 0…1. The sum over bands is one loudness per frame. The threshold is
    the value of the sorted, Gaussian-smoothed loudness at its steepest point. The span starts the margin before the
    first frame above the threshold, and ends (exclusive) at the last frame above it plus the margin.

    Args:
        log_mel: shape (n_mels, n_frames), dB.
        settings: smoothing, margin and floor.
        clicked: shape (n_frames,), from `clicks`: frames that do not count, unless all of them are clicked.

    Returns:
        the span, always 0 <= first < last <= n_frames.

    Raises:
        ValueError: if `log_mel` is not two-dimensional or is empty.

    Examples:
        >>> settings = VoiceActivity(smoothing_sigma=10.0, margin_frames=3, floor_db=80.0)
        >>> clip = np.full((64, 60), -80.0, np.float32)
        >>> clip[:, 20:40] = -10.0
        >>> detect(clip, settings)
        VoicedSpan(first=17, last=42, found=True)
        >>> detect(np.zeros((64, 60), np.float32), settings)
        VoicedSpan(first=0, last=60, found=False)
    """
    if log_mel.ndim != 2 or log_mel.size == 0:
        raise ValueError(f"log_mel has the shape {log_mel.shape}; (n_mels, n_frames) with at least one cell is needed")
    if clicked is not None and clicked.any() and not clicked.all():
        counted = np.flatnonzero(~clicked)
        return _detect(log_mel[:, counted], settings, counted, log_mel.shape[1])
    return _detect(log_mel, settings, np.arange(log_mel.shape[1]), log_mel.shape[1])


def _detect(
    log_mel: NDArray[np.float32], settings: VoiceActivity, places: NDArray[np.int64], n_frames: int
) -> VoicedSpan:
    """Apply the published rule to the frames that count; `places` are their indices among all `n_frames`."""
    whole = VoicedSpan(0, n_frames, found=False)
    # 20·log10(10^(dB/10)) = 2·dB, so the conversion to power and back is one multiplication.
    doubled = np.maximum(2.0 * log_mel, 20.0 * np.float32(np.log10(_AMIN)))
    lowest, highest = float(doubled.min()), float(doubled.max())
    lowest = max(lowest, highest - settings.floor_db)
    if len(places) < 2 or not lowest < highest:
        return whole
    np.maximum(doubled, lowest, out=doubled)
    loudness = (doubled.sum(axis=0, dtype=np.float64) - lowest * len(doubled)) / (highest - lowest)
    if loudness.min() == loudness.max():  # a steady tone; rounding would make its smoothed curve uneven
        return whole
    curve = _smooth(np.sort(loudness), settings.smoothing_sigma)
    threshold = curve[_steepest(curve)]
    above = np.flatnonzero(loudness > threshold)
    if len(above) == 0:
        return whole
    first = max(int(places[above[0]]) - settings.margin_frames, 0)
    last = min(int(places[above[-1]]) + settings.margin_frames, n_frames)
    return VoicedSpan(first, last, found=True) if first < last else whole


def _smooth(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Apply a Gaussian filter with SciPy's defaults: cut at 4 sigma, edges reflected (d c b a | a b c d | d c b a)."""
    kernel = _gaussian(sigma)
    return np.convolve(values[_reflected(len(values), len(kernel) // 2)], kernel, mode="valid")


def _steepest(curve: NDArray[np.float64]) -> int:
    """Return where the gradient is largest: central differences, one-sided at the ends."""
    gradient = np.empty_like(curve)
    np.subtract(curve[2:], curve[:-2], out=gradient[1:-1])
    gradient[1:-1] *= 0.5
    gradient[0], gradient[-1] = curve[1] - curve[0], curve[-1] - curve[-2]
    return int(gradient.argmax())


@lru_cache(maxsize=512)
def _reflected(n_values: int, radius: int) -> NDArray[np.int64]:
    """Return indices that extend a curve by `radius` at both ends; short curves are reflected more than once."""
    period = np.concatenate([np.arange(n_values), np.arange(n_values)[::-1]])
    return np.asarray(period[np.arange(-radius, n_values + radius) % len(period)])


@lru_cache(maxsize=8)
def _gaussian(sigma: float) -> NDArray[np.float64]:
    radius = int(4.0 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())
