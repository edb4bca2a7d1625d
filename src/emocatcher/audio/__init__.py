"""Any file, bytes or array → a mono float32 waveform, whole or block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emocatcher.audio.decoding import Source, Track
from emocatcher.audio.resampling import Resampler, Waveform, resample
from emocatcher.errors import AudioError, EmptyAudioError, NonFiniteError, TooLongError

__all__ = ["Recording", "Resampler", "Source", "Waveform", "blocks", "load", "read", "resample"]

_LOWEST_RATE = 1000  # Hz; no voice fits below, and a forged header would swell to gigabytes when resampled
_LOUDEST = 1e10  # full scale is 1, unscaled 32-bit integers reach 2e9; float32 power overflows from 1e16
_BLOCK_S = 30.0

# A clipped wave has flat tops: samples in a row that are all at the recording's very maximum.
_CLIPPED_PEAK = 0.25  # below it a few steps of 16 bit make tops as flat
_CLIPPED_SPREAD = 1.0 / 32_768.0
_CLIPPED_PAIRS = 4  # neighbours that are both at the top


class Recording(NamedTuple):
    """A recording, and what its samples tell of how it was made."""

    waveform: Waveform  # (n_samples,), mono
    sample_rate: int  # Hz, of the waveform
    native_rate: int  # Hz, of the recording
    peak: float  # the largest magnitude of a sample of any channel; full scale is 1
    clipped: bool
    truncated: bool  # it breaks off before the end that it promises


def load(
    source: Source,
    sample_rate: int | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> tuple[Waveform, int]:
    """Read a recording as one mono channel.

    Args:
        source: a path; an encoded file's bytes; or (samples, sample_rate), where samples have the shape
            (n_samples,) or (n_samples, n_channels), integers at full scale or floats in [-1, 1].
        sample_rate: Hz to resample to; None keeps the recording's own.
        start_s: seconds from the beginning where the wanted stretch starts.
        end_s: seconds from the beginning where it ends; None for the recording's end.

    Returns:
        waveform: shape (n_samples,), float32, the channels' average.
        sample_rate: Hz.

    Raises:
        AudioError: if the sample rate, the stretch, or an array's shape, type or scale makes no sense; in particular
        DecodeError: if there is no such file, or it is not audio.
        EmptyAudioError: if there are no samples, or none in the stretch.
        NonFiniteError: if a sample is NaN or infinite.

    Examples:
        >>> waveform, sample_rate = load((np.ones((48_000, 2), np.int16), 48_000), 22_050)
        >>> waveform.shape, waveform.dtype, sample_rate
        ((22050,), dtype('float32'), 22050)
    """
    track = Track(source, _BLOCK_S)
    waveform = _joined([mono for mono, _, _ in _checked(track)])
    if start_s is not None or end_s is not None:
        waveform = _cut(track.name, waveform, track.rate, start_s or 0.0, math.inf if end_s is None else end_s)
    return _at_rate(waveform, track.rate, sample_rate)


def read(source: Source, sample_rate: int | None = None, *, longest_s: float = math.inf) -> Recording:
    """Read a recording as `load` does, and tell how it was made.

    Args:
        source: as for `load`.
        sample_rate: Hz to resample to; None keeps the recording's own.
        longest_s: a longer recording is refused before all of it is decoded, seconds.

    Raises:
        AudioError: as `load`; in particular
        TooLongError: if the recording is longer.

    Examples:
        >>> read((np.array([0.5, -0.5, 0.0]), 8_000)).peak
        0.5
    """
    track = Track(source, min(_BLOCK_S, longest_s + 1.0))
    parts: list[Waveform] = []
    peak, n_samples, clipped = 0.0, 0, False
    for mono, samples, block_peak in _checked(track):
        parts.append(mono)
        n_samples += len(mono)
        if n_samples > longest_s * track.rate:
            raise TooLongError(
                track.name, f"is longer than {longest_s:g} s. Use `emocatcher timeline`, or cut it into utterances"
            )
        clipped = clipped or _is_clipped(samples, block_peak)
        peak = max(peak, block_peak)
    waveform, rate = _at_rate(_joined(parts), track.rate, sample_rate)
    return Recording(waveform, rate, track.rate, peak, clipped, track.truncated)


def blocks(source: Source, sample_rate: int | None = None, *, block_s: float = _BLOCK_S) -> Iterator[Waveform]:
    """Read a recording of any length block by block; joined, they are what `load` gives.

    Args:
        source: as for `load`.
        sample_rate: Hz to resample to; None keeps the recording's own.
        block_s: seconds in a block, about.

    Yields:
        shape (n_samples,), float32, at least one sample.

    Raises:
        AudioError: as `load`, at the block where it shows.
    """
    track = Track(source, block_s)
    resampler: Resampler | None = None
    for mono, _, _ in _checked(track):
        resampler = resampler or Resampler(track.rate, sample_rate or track.rate)
        if len(resampled := resampler.push(mono)):
            yield resampled
    if resampler is not None and len(resampled := resampler.finish()):
        yield resampled


def _checked(track: Track) -> Iterator[tuple[Waveform, Waveform, float]]:
    """The blocks as (mono, all channels, peak); refuses what no front end can use."""
    n_samples = 0
    for samples in track:
        if track.rate < _LOWEST_RATE:
            reason = f"has a sample rate of {track.rate} Hz. Give a recording of {_LOWEST_RATE} Hz or more"
            raise AudioError(track.name, reason)
        if samples.size == 0:
            continue
        n_samples += len(samples)
        lowest, highest = float(samples.min()), float(samples.max())  # NaN where one sample is
        if not math.isfinite(lowest) or not math.isfinite(highest):
            reason = "holds NaN or infinite samples. Export it again from the program that made it"
            raise NonFiniteError(track.name, reason)
        peak = max(-lowest, highest)
        if peak > _LOUDEST:
            raise AudioError(track.name, f"holds samples from {lowest:g} to {highest:g}. Scale them to -1 … 1")
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
        yield mono, samples, peak
    if n_samples == 0:
        raise EmptyAudioError(track.name, "holds no samples. Record it again, or leave it out")


def _joined(parts: list[Waveform]) -> Waveform:
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _at_rate(waveform: Waveform, rate: int, wanted: int | None) -> tuple[Waveform, int]:
    if wanted is None or wanted == rate:
        return waveform, rate
    return np.ascontiguousarray(resample(waveform, rate, wanted)), wanted


def _is_clipped(samples: Waveform, peak: float) -> bool:
    if peak < _CLIPPED_PEAK:
        return False
    at_top = samples >= peak - _CLIPPED_SPREAD
    at_top |= samples <= _CLIPPED_SPREAD - peak
    return int(np.count_nonzero(at_top[1:] & at_top[:-1])) >= _CLIPPED_PAIRS


def _cut(name: str, waveform: Waveform, rate: int, start_s: float, end_s: float) -> Waveform:
    if not 0.0 <= start_s < end_s:
        raise AudioError(name, f"cannot be cut to start_s = {start_s:g}, end_s = {end_s:g}. Give 0 <= start_s < end_s")
    duration_s = len(waveform) / rate
    if start_s >= duration_s:
        raise EmptyAudioError(name, f"ends at {duration_s:.2f} s, before start_s = {start_s}")
    return waveform[round(start_s * rate) : round(min(end_s, duration_s) * rate)]
