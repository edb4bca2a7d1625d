"""Read any file, bytes or array as a mono float32 waveform, whole or block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from emocatcher.audio.decoding import Track
from emocatcher.audio.offset import OffsetRemover, remove_offset
from emocatcher.audio.resampling import Resampler, Waveform, resample
from emocatcher.audio.sources import Source, check_source
from emocatcher.foundation.errors import AudioError, EmptyAudioError, NonFiniteError, TooLongError

__all__ = [
    "Facts",
    "OffsetRemover",
    "Recording",
    "Resampler",
    "Source",
    "Waveform",
    "blocks",
    "check_source",
    "load",
    "read",
    "remove_offset",
    "resample",
]

_MIN_RATE = 1000  # Hz; lower rates cannot carry a voice, and a forged header would resample to gigabytes
_MAX_MAGNITUDE = 1e10  # full scale is 1, unscaled 32-bit integers reach 2e9; float32 power overflows from 1e16
_BLOCK_S = 30.0

# A clipped wave has flat tops: consecutive samples that are all at the recording's maximum.
_CLIPPED_PEAK = 0.25  # at lower peaks, 16-bit quantisation alone makes tops as flat
_CLIPPED_SPREAD = 1.0 / 32_768.0
_CLIPPED_PAIRS = 4  # pairs of neighbouring samples that are both at the maximum


class Recording(NamedTuple):
    """A waveform with the properties of the recording that it was read from."""

    waveform: Waveform  # (n_samples,), mono, without offset
    sample_rate: int  # Hz, of the waveform
    native_rate: int  # Hz, of the recording
    peak: float  # largest magnitude of a sample in any channel; full scale is 1
    clipped: bool
    truncated: bool  # the end is missing
    lost: tuple[tuple[float, float], ...] = ()  # damaged parts, (start_s, end_s) in the recording; they are silent


@dataclass
class Facts:
    """The properties of a recording that is read block by block; complete when its last block has been read."""

    native_rate: int = 0  # Hz
    peak: float = 0.0  # largest magnitude of a sample in any channel; full scale is 1
    clipped: bool = False
    truncated: bool = False  # the end is missing
    lost: tuple[tuple[float, float], ...] = ()  # as in `Recording`


def load(
    source: Source,
    sample_rate: int | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> tuple[Waveform, int]:
    """Read a recording as one mono channel, as it is: recognition uses `read`, which removes the offset.

    Args:
        source: a path; an encoded file's bytes; or (samples, sample_rate), where samples have the shape
            (n_samples,) or (n_samples, n_channels), integers at full scale or floats in [-1, 1].
        sample_rate: Hz to resample to; None keeps the recording's own.
        start_s: start of the segment to return, in seconds from the beginning.
        end_s: end of the segment, in seconds from the beginning; None for the recording's end.

    Returns:
        waveform: shape (n_samples,), float32, the average of the channels.
        sample_rate: Hz.

    Raises:
        AudioError: if the sample rate, the segment, or an array's shape, type or scale is invalid; its subclasses:
        DecodeError: if there is no such file, or it is not audio.
        EmptyAudioError: if there are no samples, or none in the segment.
        NonFiniteError: if a sample is NaN or infinite.

    Examples:
        >>> waveform, sample_rate = load((np.ones((48_000, 2), np.int16), 48_000), 22_050)
        >>> waveform.shape, waveform.dtype, sample_rate
        ((22050,), dtype('float32'), 22050)
    """
    track = Track(source, _BLOCK_S)
    waveform = _cut(track, _join([mono for mono, _, _ in _checked_blocks(track)]), start_s, end_s)
    return _resample_to(waveform, track.rate, sample_rate)


def read(
    source: Source,
    sample_rate: int | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    longest_s: float = math.inf,
) -> Recording:
    """Read a recording for recognition: as `load`, without offset, and with its peak, clipping, truncation and rate.

    The offset is removed before resampling, which would turn its steps at both ends into clicks.

    Args:
        source: as for `load`.
        sample_rate: Hz to resample to; None keeps the recording's own.
        start_s: as for `load`.
        end_s: as for `load`.
        longest_s: the longest recording to accept, in seconds; a longer one is refused before all of it is decoded.

    Raises:
        AudioError: as `load`.
        TooLongError: if the recording is longer than `longest_s`.

    Examples:
        >>> read((np.array([0.5, -0.5, 0.0]), 8_000)).peak
        0.5
    """
    track = Track(source, min(_BLOCK_S, longest_s + 1.0))
    parts: list[Waveform] = []
    peak, n_samples, clipped = 0.0, 0, False
    for mono, samples, block_peak in _checked_blocks(track):
        parts.append(mono)
        n_samples += len(mono)
        if n_samples > longest_s * track.rate:
            raise TooLongError(
                track.name, f"is longer than {longest_s:g} s. Use `emocatcher timeline`, or cut it into utterances"
            )
        clipped = clipped or _is_clipped(samples, block_peak)
        peak = max(peak, block_peak)
    waveform = remove_offset(_cut(track, _join(parts), start_s, end_s))
    waveform, rate = _resample_to(waveform, track.rate, sample_rate)
    return Recording(waveform, rate, track.rate, peak, clipped, track.truncated, tuple(track.lost))


def blocks(
    source: Source,
    sample_rate: int | None = None,
    *,
    block_s: float = _BLOCK_S,
    offset_s: float | None = None,
    facts: Facts | None = None,
) -> Iterator[Waveform]:
    """Read a recording of any length block by block; the joined blocks equal what `load` returns.

    Args:
        source: as for `load`.
        sample_rate: Hz to resample to; None keeps the recording's own.
        block_s: approximate length of a block, in seconds.
        offset_s: removes the offset, which is the mean of this many seconds (see `OffsetRemover`); None to keep it.
        facts: is filled while the blocks are read.

    Yields:
        shape (n_samples,), float32, at least one sample.

    Raises:
        AudioError: as `load`, when the block with the problem is reached.
    """
    track = Track(source, block_s)
    resampler: Resampler | None = None
    remover: OffsetRemover | None = None
    facts = Facts() if facts is None else facts
    for mono, samples, peak in _checked_blocks(track):
        facts.native_rate, facts.peak = track.rate, max(facts.peak, peak)
        facts.clipped = facts.clipped or _is_clipped(samples, peak)
        resampler = resampler or Resampler(track.rate, sample_rate or track.rate)
        if offset_s is not None:
            remover = remover or OffsetRemover(round(offset_s * track.rate))
            mono = remover.push(mono)
        if len(mono) and len(resampled := resampler.push(mono)):
            yield resampled
    facts.truncated, facts.lost = track.truncated, tuple(track.lost)
    if resampler is not None:
        held = remover.finish() if remover is not None else np.empty(0, np.float32)
        ends = [*([resampler.push(held)] if len(held) else []), resampler.finish()]
        yield from (end for end in ends if len(end))


def _checked_blocks(track: Track) -> Iterator[tuple[Waveform, Waveform, float]]:
    """Yield blocks as (mono, all channels, peak), and refuse samples that no front end can process."""
    n_samples = 0
    for samples in track:
        if track.rate < _MIN_RATE:
            reason = f"has a sample rate of {track.rate} Hz. Give a recording of {_MIN_RATE} Hz or more"
            raise AudioError(track.name, reason)
        if samples.size == 0:
            continue
        n_samples += len(samples)
        lowest, highest = float(samples.min()), float(samples.max())  # NaN if any sample is NaN
        if not math.isfinite(lowest) or not math.isfinite(highest):
            reason = "contains NaN or infinite samples. Export it again from the program that made it"
            raise NonFiniteError(track.name, reason)
        peak = max(-lowest, highest)
        if peak > _MAX_MAGNITUDE:
            raise AudioError(track.name, f"has samples from {lowest:g} to {highest:g}. Scale them to -1 … 1")
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
        yield mono, samples, peak
    if n_samples == 0:
        raise EmptyAudioError(track.name, "contains no samples. Record it again, or leave it out")


def _join(parts: list[Waveform]) -> Waveform:
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _resample_to(waveform: Waveform, rate: int, target_rate: int | None) -> tuple[Waveform, int]:
    if target_rate is None or target_rate == rate:
        return waveform, rate
    return np.ascontiguousarray(resample(waveform, rate, target_rate)), target_rate


def _is_clipped(samples: Waveform, peak: float) -> bool:
    if peak < _CLIPPED_PEAK:
        return False
    at_peak = samples >= peak - _CLIPPED_SPREAD
    at_peak |= samples <= _CLIPPED_SPREAD - peak
    return int(np.count_nonzero(at_peak[1:] & at_peak[:-1])) >= _CLIPPED_PAIRS


def _cut(track: Track, waveform: Waveform, start_s: float | None, end_s: float | None) -> Waveform:
    if start_s is None and end_s is None:
        return waveform
    name, rate = track.name, track.rate
    start_s, end_s = start_s or 0.0, math.inf if end_s is None else end_s
    if not 0.0 <= start_s < end_s:
        raise AudioError(name, f"cannot be cut to start_s = {start_s:g}, end_s = {end_s:g}. Give 0 <= start_s < end_s")
    duration_s = len(waveform) / rate
    if start_s >= duration_s:
        raise EmptyAudioError(name, f"ends at {duration_s:.2f} s, before start_s = {start_s}. Give an earlier start_s")
    return waveform[round(start_s * rate) : round(min(end_s, duration_s) * rate)]
