"""What a recording sounds like in a few thousand bits, which survive coding, resampling, trimming and another level.

After Haitsma & Kalker (2002), "A Highly Robust Audio Fingerprinting System", ISMIR: one word of 32 bits for each
frame, each bit the sign of a difference of band energies over frequency and time (their equation 1). Their frames are
long, for music in noise; ours are shorter, so that two takes of one sentence differ, and the bits of a word that a
codec could tip are marked and not counted.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio import Waveform

Words = NDArray[np.uint32]

SAMPLE_RATE = 8_000  # Hz, that of the narrowest recordings of speech in use
NARROWEST_RATE = 6_000  # Hz; a recording of a lower rate lacks bands
HOP_S = 0.008

# On RAVDESS: at most 0.017 between a clip and its copy as MP3, AAC or Opus at 64 kbit/s, late by any number of
# milliseconds, at 8 kHz, or half of it; 0.026 at a tenth of the level in 16 bit. Between two takes by one actor, or of
# one sentence in one emotion by two, never below 0.133.
_MOST_ERRORS = 0.06
_MOST_ERRORS_FRAMES = 100  # 0.8 s; where fewer are compared, chance weighs more and fewer errors are allowed
_HOP = 64  # samples
_WINDOW = 1_024  # samples, 128 ms: as long as a syllable, and it tells one harmonic from the next
_LAG = 8  # frames, 64 ms, over which energies are compared
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 3_000.0  # what a telephone carries
_N_BITS = 32
_N_WEAK = 8  # bits of a word that are not counted
_N_WEAKEST = 3  # bits of a word that are tried both ways when a recording is looked up
_BELOW_LOUDEST = 1e-3  # of a frame's power (-30 dB): quieter ones are the room, or what a codec made of it
_SILENCE = 1e-11  # of full scale's power (-110 dB): rounding
_LEAST_FRAMES = 40  # 0.32 s: fewer say too little
_LEAST_SHARE = 0.5  # of the frames of the one that has fewer
_BLOCK = 32  # frames at a time: small enough that their memory is not handed back and asked for anew
_ALL = np.uint32(0xFFFFFFFF)


class Fingerprint(NamedTuple):
    """One word for each frame of 8 ms, all three of shape (n_frames,), uint32."""

    words: Words
    weak: Words  # bits that do not count are set: the closest calls of each word, and all of a quiet frame
    weakest: Words  # of them the three closest are set; none in a quiet frame

    @property
    def n_loud(self) -> int:
        """How many frames count."""
        return int(np.count_nonzero(self.weak != _ALL))

    @property
    def tells(self) -> bool:
        """Whether there is enough sound in it to be recognised by."""
        return self.n_loud >= _LEAST_FRAMES


class Likeness(NamedTuple):
    """How well two fingerprints agree where they agree best."""

    bit_error_rate: float  # 0 is the same recording, 0.5 is chance
    shift: int  # frames by which what the second holds comes later in the first
    n_frames: int  # that were compared
    share: float  # of the frames that count in the one that has fewer, those that were compared

    @property
    def same(self) -> bool:
        """Whether they are of one recording."""
        return self.bit_error_rate <= _MOST_ERRORS * min(1.0, self.n_frames / _MOST_ERRORS_FRAMES)


def fingerprint(waveform: Waveform) -> Fingerprint:
    """Take a recording's fingerprint.

    Bit m of frame n is set where E(n,m) - E(n,m+1) - (E(n-8,m) - E(n-8,m+1)) > 0, with E the energy of band m, of 33
    that divide 300 to 3,000 Hz evenly in pitch. The eight bits where that difference is smallest, measured by the
    four energies, are weak.

    Args:
        waveform: shape (n_samples,), float32, at `SAMPLE_RATE`.

    Returns:
        its words; none where it is shorter than a window and the time over which energies are compared (0.19 s).

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
        words=_packed(differences > 0),
        weak=np.where(loud, _marked(closest[:, :_N_WEAK]), _ALL),
        weakest=np.where(loud, _marked(closest[:, :_N_WEAKEST]), np.uint32(0)),
    )


def compare(first: Fingerprint, second: Fingerprint, shifts: range | None = None) -> Likeness | None:
    """Find the shift at which two fingerprints agree best.

    Args:
        first: one recording's.
        second: the other's.
        shifts: those to try, in frames; all by default.

    Returns:
        the best; None where at no shift enough of both can be compared.
    """
    n_first, n_second = len(first.words), len(second.words)
    fewer = min(first.n_loud, second.n_loud)
    needed = max(_LEAST_FRAMES, _LEAST_SHARE * fewer)
    best: Likeness | None = None
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
            best = Likeness(rate, shift, n_frames, n_frames / fewer)
    return best


def _energies(waveform: Waveform) -> NDArray[np.float32]:
    """Energy of each band, shape (n_frames, 33); a sine at full scale has 0.5."""
    if len(waveform) < _WINDOW:
        return np.zeros((0, _N_BITS + 1), np.float32)
    window, (bins, weights) = _window(), _weights()
    frames = np.lib.stride_tricks.sliding_window_view(waveform, _WINDOW)[::_HOP]
    blocks = []
    for start in range(0, len(frames), _BLOCK):
        # The scale, which `_window` undoes, is for speed: without one NumPy transforms float32 as float64.
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
    """The bins of the spectrum that lie in any band, and the share of each in each, shape (n_bins, 33)."""
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _N_BITS + 2)
    width = SAMPLE_RATE / _WINDOW
    bins = slice(int(_LOWEST_HZ / width), int(_HIGHEST_HZ / width) + 2)
    centres = np.arange(bins.start, bins.stop)[:, None] * width
    overlap = np.minimum(centres + width / 2, edges[1:]) - np.maximum(centres - width / 2, edges[:-1])
    return bins, (np.clip(overlap, 0, None) / width).astype(np.float32)


def _packed(bits: NDArray[np.bool_]) -> Words:
    """Rows of 32 bits as words, the lowest band in the highest bit."""
    return np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)


def _marked(places: NDArray[np.int64]) -> Words:
    """Words with the bits of some bands set; shape (n, n_bands) to (n,)."""
    bits = np.uint32(1) << (_N_BITS - 1 - places).astype(np.uint32)
    marked: Words = np.bitwise_or.reduce(bits, axis=1)
    return marked
