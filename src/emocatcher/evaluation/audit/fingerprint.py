"""Compute and compare acoustic fingerprints, which survive encoding, resampling, trimming and level changes.

After Haitsma & Kalker (2002), "A Highly Robust Audio Fingerprinting System", ISMIR: one word of 32 bits per frame; each
bit is the sign of a difference of band energies over frequency and time (their equation 1). Their frames are long, for
music in noise. Frames here are shorter, so that two takes of one sentence differ, and bits that a codec could flip are
marked as weak and not compared.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio import Waveform

Words = NDArray[np.uint32]

SAMPLE_RATE = 8_000  # Hz, the lowest rate in common use for speech
NARROWEST_RATE = 6_000  # Hz; a recording with a lower rate lacks bands
HOP_S = 0.008

# Bit error rates on RAVDESS: at most 0.017 between a clip and its copy as MP3, AAC or Opus at 64 kbit/s, delayed by any
# number of milliseconds, at 8 kHz, or half of it; 0.026 at a tenth of the level in 16 bits. Between two takes by one
# actor, or of one sentence in one emotion by two actors, never below 0.133.
_MAX_ERROR_RATE = 0.06
_MAX_ERROR_RATE_FRAMES = 100  # 0.8 s; with fewer frames, chance matters more and fewer errors are allowed
_HOP = 64  # samples
_WINDOW = 1_024  # samples, 128 ms: as long as a syllable, and long enough to separate neighbouring harmonics
_LAG = 8  # frames, 64 ms, over which energies are compared
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 3_000.0  # the telephone band
_N_BITS = 32
_N_WEAK = 8  # bits per word that are not compared
_N_WEAKEST = 3  # bits per word that are tried both ways in the index lookup
_BELOW_LOUDEST = 1e-3  # of the loudest frame's power (-30 dB): quieter frames are room noise or codec artefacts
_SILENCE = 1e-11  # of full-scale power (-110 dB): rounding errors
_MIN_FRAMES = 40  # 0.32 s: fewer are too few for a comparison
_MIN_SHARE = 0.5  # of the loud frames of the fingerprint that has fewer
_BLOCK = 32  # frames per block: small enough that the allocator reuses the memory
_ALL = np.uint32(0xFFFFFFFF)


class Fingerprint(NamedTuple):
    """One word per frame of 8 ms; all arrays have shape (n_frames,), uint32."""

    words: Words
    weak: Words  # mask of the bits that are not compared: the eight least certain of a word, all bits of a quiet frame
    weakest: Words  # mask of the three least certain bits of a word; 0 in a quiet frame

    @property
    def n_loud(self) -> int:
        """Number of frames that are compared."""
        return int(np.count_nonzero(self.weak != _ALL))

    @property
    def is_usable(self) -> bool:
        """Whether it has enough sound to identify the recording."""
        return self.n_loud >= _MIN_FRAMES


class Similarity(NamedTuple):
    """The agreement of two fingerprints at their best shift."""

    bit_error_rate: float  # 0 is the same recording, 0.5 is chance
    shift: int  # delay of the second's content within the first, frames
    n_frames: int  # number of frames compared
    share: float  # compared frames as a share of the loud frames of the fingerprint that has fewer

    @property
    def is_same(self) -> bool:
        """Whether both are of the same recording."""
        return self.bit_error_rate <= _MAX_ERROR_RATE * min(1.0, self.n_frames / _MAX_ERROR_RATE_FRAMES)


def fingerprint(waveform: Waveform) -> Fingerprint:
    """Compute a recording's fingerprint.

    Bit m of frame n is set if E(n,m) - E(n,m+1) - (E(n-8,m) - E(n-8,m+1)) > 0, where E is the energy of band m, one of
    33 bands spaced logarithmically from 300 to 3,000 Hz. The eight bits with the smallest difference relative to the
    four energies are weak.

    Args:
        waveform: shape (n_samples,), float32, at `SAMPLE_RATE`.

    Returns:
        the fingerprint; it has no words if the waveform is shorter than a window plus the lag (0.19 s).

    Examples:
        >>> noise = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
        >>> fingerprint(noise).words.shape, fingerprint(noise[:1_000]).words.shape
        ((102,), (0,))
    """
    energies = _energies(waveform)
    if len(energies) <= _LAG:
        nothing = np.zeros(0, np.uint32)
        return Fingerprint(nothing, nothing, nothing)
    slopes = energies[:, :-1] - energies[:, 1:]
    differences = slopes[_LAG:] - slopes[:-_LAG]
    sums = energies[:, :-1] + energies[:, 1:]
    certainty = np.abs(differences) / (sums[_LAG:] + sums[:-_LAG] + np.float32(1e-30))
    power = energies.sum(axis=1)
    power = np.maximum(power[_LAG:], power[:-_LAG])
    loud = power > max(float(power.max()) * _BELOW_LOUDEST, _SILENCE)
    closest = np.argpartition(certainty, (_N_WEAKEST - 1, _N_WEAK - 1), axis=1)
    return Fingerprint(
        words=_pack(differences > 0),
        weak=np.where(loud, _mark(closest[:, :_N_WEAK]), _ALL),
        weakest=np.where(loud, _mark(closest[:, :_N_WEAKEST]), np.uint32(0)),
    )


def compare(first: Fingerprint, second: Fingerprint, shifts: range | None = None) -> Similarity | None:
    """Find the shift at which two fingerprints agree best.

    Args:
        first: fingerprint of one recording.
        second: fingerprint of the other.
        shifts: shifts to try, in frames; all by default.

    Returns:
        the similarity at the best shift; None if the overlap is too short at every shift.
    """
    n_first, n_second = len(first.words), len(second.words)
    fewer = min(first.n_loud, second.n_loud)
    needed = max(_MIN_FRAMES, _MIN_SHARE * fewer)
    best: Similarity | None = None
    for shift in range(1 - n_second, n_first) if shifts is None else shifts:
        start, stop = max(0, shift), min(n_first, n_second + shift)
        if stop - start < needed:
            continue
        ours, theirs = slice(start, stop), slice(start - shift, stop - shift)
        weak = first.weak[ours] | second.weak[theirs]
        n_frames = int(np.count_nonzero(weak != _ALL))
        if n_frames < needed:
            continue
        n_bits = _N_BITS * len(weak) - int(np.bitwise_count(weak).sum())
        wrong = (first.words[ours] ^ second.words[theirs]) & ~weak
        rate = int(np.bitwise_count(wrong).sum()) / max(n_bits, 1)
        if best is None or rate < best.bit_error_rate:
            best = Similarity(rate, shift, n_frames, n_frames / fewer)
    return best


def _energies(waveform: Waveform) -> NDArray[np.float32]:
    """Return the energy of each band, shape (n_frames, 33); a full-scale sine has 0.5."""
    if len(waveform) < _WINDOW:
        return np.zeros((0, _N_BITS + 1), np.float32)
    window, (bins, weights) = _window(), _weights()
    frames = np.lib.stride_tricks.sliding_window_view(waveform, _WINDOW)[::_HOP]
    blocks = []
    for start in range(0, len(frames), _BLOCK):
        # norm="forward", whose scale `_window` cancels, is for speed: without it NumPy transforms float32 as float64.
        spectrum = np.fft.rfft(frames[start : start + _BLOCK] * window, norm="forward")[:, bins]
        blocks.append((spectrum.real**2 + spectrum.imag**2) @ weights)
    return np.concatenate(blocks)


@cache
def _window() -> NDArray[np.float32]:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    scaled: NDArray[np.float32] = (hann * np.sqrt(2 * _WINDOW / np.sum(hann**2))).astype(np.float32)
    return scaled


@cache
def _weights() -> tuple[slice, NDArray[np.float32]]:
    """Return the spectrum's bins that lie in any band, and each bin's share in each band, shape (n_bins, 33)."""
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _N_BITS + 2)
    width = SAMPLE_RATE / _WINDOW
    bins = slice(int(_LOWEST_HZ / width), int(_HIGHEST_HZ / width) + 2)
    centres = np.arange(bins.start, bins.stop)[:, None] * width
    overlap = np.minimum(centres + width / 2, edges[1:]) - np.maximum(centres - width / 2, edges[:-1])
    return bins, (np.clip(overlap, 0, None) / width).astype(np.float32)


def _pack(bits: NDArray[np.bool_]) -> Words:
    """Pack rows of 32 bits into words, the lowest band into the highest bit."""
    return np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)


def _mark(places: NDArray[np.int64]) -> Words:
    """Return words with the bits of the given bands set; shape (n, n_bands) → (n,)."""
    bits = np.uint32(1) << (_N_BITS - 1 - places).astype(np.uint32)
    marked: Words = np.bitwise_or.reduce(bits, axis=1)
    return marked
