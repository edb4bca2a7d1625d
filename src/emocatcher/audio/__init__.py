"""Read any file, URI, bytes or array as a mono float32 waveform, whole or block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from emocatcher.audio.decoding import Track
from emocatcher.audio.live import LiveSound
from emocatcher.audio.offset import OffsetRemover, remove_offset
from emocatcher.audio.resampling import Resampler, Waveform, resample
from emocatcher.audio.sections import SECTION_S, LeftOut, Section, Sections, count_channels
from emocatcher.audio.sources import Source, check_source
from emocatcher.foundation.errors import AudioError, EmptyAudioError, TooLongError

__all__ = [
    "Facts",
    "LeftOut",
    "LiveSound",
    "OffsetRemover",
    "Recording",
    "Resampler",
    "Source",
    "Waveform",
    "blocks",
    "check_source",
    "count_channels",
    "load",
    "read",
    "remove_offset",
    "resample",
]

# A clipped wave has flat tops: consecutive samples that are all at the recording's maximum.
_CLIPPED_PEAK = 0.25  # at lower peaks, 16-bit quantisation alone makes tops as flat
_CLIPPED_SPREAD = 1.0 / 32_768.0
_CLIPPED_PAIRS = 4  # pairs of neighbouring samples that are both at the maximum
# Up to the maximum, from the sample before: a slow wave, such as hum, has round tops that look flat.
_CLIPPED_STEP = 5e-4
# Coding and resampling bend the tops. Still, more of the loud samples are among the loudest than in any voice.
_CLIPPED_LEVELS = (0.4, 0.8)  # of the level that a thousandth of the samples exceeds: loud, and loudest
_PART = 100  # samples
_CLIPPED_SHARE = 0.35  # of the loud samples
# A tone is as dense: then the loudest frame is one sine.
_TONE_FRAME_S, _TONE_RATE, _TONE_REST = 0.05, 8000, 0.01  # samples at that rate are compared; share of the power


class Recording(NamedTuple):
    """A waveform with the properties of the recording that it was read from."""

    waveform: Waveform  # (n_samples,), mono, without offset
    sample_rate: int  # Hz, of the waveform
    native_rate: int  # Hz, of the recording
    peak: float  # largest magnitude of a sample in any channel; full scale is 1
    clipped: bool
    truncated: bool  # the end is missing
    lost: tuple[tuple[float, float], ...] = ()  # damaged parts, (start_s, end_s) in the recording; they are silent
    divisor: float = 1.0  # what the samples were divided by because of their values (see `arrays`)
    channels_cancel: tuple[LeftOut, ...] = ()  # those left out: the average would cancel the voice
    n_unread: int = 0  # bytes behind the end that the header declares; they may be another recording
    n_tracks: int = 1  # sound tracks of the file, of which the default one is read
    voices: tuple[int, ...] = ()  # channels from 0 that have sound where the others have none, as of several persons


@dataclass
class Facts:
    """The properties of a recording that is read block by block; complete when its last block has been read."""

    native_rate: int = 0  # Hz
    n_channels: int = 0
    peak: float = 0.0  # largest magnitude of a sample in any channel; full scale is 1
    clipped: bool = False
    truncated: bool = False  # the end is missing
    lost: tuple[tuple[float, float], ...] = ()  # as in `Recording`, and so are the next five
    divisor: float = 1.0
    channels_cancel: tuple[LeftOut, ...] = ()
    n_unread: int = 0
    n_tracks: int = 1
    voices: tuple[int, ...] = ()
    quiet_channels: tuple[int, ...] = ()  # from 0, left out somewhere: they are silent, or have steady noise only


def load(
    source: Source,
    sample_rate: int | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> tuple[Waveform, int]:
    """Read a recording as one mono channel, as it is: recognition uses `read`, which removes the offset.

    Args:
        source: a path; a URI, such as "s3://bucket/a.wav"; an encoded file's bytes; or (samples, sample_rate), where
            samples are an array or a list of the shape (n_samples,) or (n_samples, n_channels), integers or floats
            (`emocatcher.audio.arrays` has the rule for their scale).
        sample_rate: Hz to resample to; None keeps the recording's own.
        start_s: start of the segment to return, in seconds from the beginning.
        end_s: end of the segment, in seconds from the beginning; None for the recording's end.

    Returns:
        waveform: shape (n_samples,), float32, the average of the channels, or one of them (see `audio.channels`).
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
    track = Track(source, SECTION_S)
    waveform = _cut(track, _join([section.mono for section in Sections(track)]), start_s, end_s)
    return _resample_to(waveform, track.rate, sample_rate)


def read(
    source: Source,
    sample_rate: int | None = None,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    longest_s: float = math.inf,
    channel: int | None = None,
) -> Recording:
    """Read a recording for recognition: as `load`, without offset, and with its peak, clipping, truncation and rate.

    The offset is removed before resampling, which would turn its steps at both ends into clicks.

    Args:
        source: as for `load`.
        sample_rate: Hz to resample to; None keeps the recording's own.
        start_s: as for `load`.
        end_s: as for `load`.
        longest_s: the longest recording to accept, in seconds; a longer one is refused before all of it is decoded.
        channel: the one to use alone, from 0, which peak and clipping are then of; None for the mix.

    Raises:
        AudioError: as `load`, or if there is no such channel.
        TooLongError: if the recording is longer than `longest_s`.

    Examples:
        >>> read((np.array([0.5, -0.5, 0.0]), 8_000)).peak
        0.5
    """
    section_s = min(SECTION_S, longest_s + 1.0)  # so that little more than `longest_s` is decoded
    track = Track(source, section_s)
    parts: list[Waveform] = []
    peak, n_samples, clipped = 0.0, 0, False
    sections = Sections(track, section_s, channel)
    for section in sections:
        parts.append(section.mono)
        n_samples += len(section.mono)
        if n_samples > longest_s * track.rate:
            raise TooLongError(
                track.name, f"is longer than {longest_s:g} s. Use `emocatcher timeline`, or cut it into utterances"
            )
        clipped = clipped or _is_clipped(section, track.rate)
        peak = max(peak, section.peak)
    waveform = remove_offset(_cut(track, _join(parts), start_s, end_s))
    waveform, rate = _resample_to(waveform, track.rate, sample_rate)
    return Recording(
        waveform,
        rate,
        track.rate,
        peak,
        clipped,
        track.truncated,
        tuple(track.lost),
        sections.divisor,
        sections.channels_cancel,
        track.n_unread,
        track.n_tracks,
        sections.voices,
    )


def blocks(
    source: Source,
    sample_rate: int | None = None,
    *,
    block_s: float = SECTION_S,
    offset_s: float | None = None,
    facts: Facts | None = None,
    channel: int | None = None,
) -> Iterator[Waveform]:
    """Read a recording of any length block by block; the joined blocks equal what `load` returns.

    Samples are decoded, brought to full scale and mixed in sections of 30 s, whatever the length of a block.

    Args:
        source: as for `load`.
        sample_rate: Hz to resample to; None keeps the recording's own.
        block_s: approximate length of a block, in seconds.
        offset_s: removes the offset, which is the mean of this many seconds (see `OffsetRemover`); None to keep it.
        facts: is filled while the blocks are read.
        channel: as for `read`.

    Yields:
        shape (n_samples,), float32, at least one sample.

    Raises:
        AudioError: as `load`, when the section with the problem is reached.
    """
    track = Track(source, block_s)
    sections = Sections(track, channel=channel)
    resampler: Resampler | None = None
    remover: OffsetRemover | None = None
    facts = Facts() if facts is None else facts
    for section in sections:
        mono = section.mono
        facts.n_channels = max(facts.n_channels, section.samples.shape[1])
        facts.native_rate, facts.peak = track.rate, max(facts.peak, section.peak)
        facts.clipped = facts.clipped or _is_clipped(section, track.rate)
        resampler = resampler or Resampler(track.rate, sample_rate or track.rate)
        if offset_s is not None:
            remover = remover or OffsetRemover(round(offset_s * track.rate))
        step = max(math.ceil(block_s * track.rate), 1)
        for start in range(0, len(mono), step):
            block = mono[start : start + step]
            block = remover.push(block) if remover is not None else block
            if len(block) and len(resampled := resampler.push(block)):
                yield resampled
    facts.truncated, facts.lost, facts.n_unread = track.truncated, tuple(track.lost), track.n_unread
    facts.n_tracks, facts.voices = track.n_tracks, sections.voices
    facts.divisor, facts.channels_cancel = sections.divisor, sections.channels_cancel
    facts.quiet_channels = tuple(sorted(sections.quiet_channels))
    if resampler is not None:
        held = remover.finish() if remover is not None else np.empty(0, np.float32)
        ends = [*([resampler.push(held)] if len(held) else []), resampler.finish()]
        yield from (end for end in ends if len(end))


def _join(parts: list[Waveform]) -> Waveform:
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _resample_to(waveform: Waveform, rate: int, target_rate: int | None) -> tuple[Waveform, int]:
    if target_rate is None or target_rate == rate:
        return waveform, rate
    return np.ascontiguousarray(resample(waveform, rate, target_rate)), target_rate


def _is_clipped(section: Section, rate: int) -> bool:
    return _has_flat_tops(section.samples, section.peak) or _is_too_dense(section.mono, rate)


def _has_flat_tops(samples: Waveform, peak: float) -> bool:
    if peak < _CLIPPED_PEAK:
        return False
    at_peak = samples >= peak - _CLIPPED_SPREAD
    at_peak |= samples <= _CLIPPED_SPREAD - peak
    pairs = at_peak[1:] & at_peak[:-1]
    if int(np.count_nonzero(pairs)) < _CLIPPED_PAIRS:
        return False
    before = np.abs(samples[:-2])[pairs[1:]]
    return bool((before < peak - _CLIPPED_STEP).any())


def _is_too_dense(mono: Waveform, rate: int) -> bool:
    n = round(_TONE_FRAME_S * rate)
    frames = mono[: len(mono) // n * n].reshape(-1, n)
    if len(frames) < 1 / _TONE_FRAME_S / 2:  # half a second
        return False
    size = np.abs(mono)
    rank = max(len(size) // 1000, 1)
    # At least as many samples are as large as this one of the parts' maxima, so that few have to be sorted.
    least = np.partition(size[: len(size) // _PART * _PART].reshape(-1, _PART).max(axis=1), -rank)[-rank]
    level = float(np.partition(size[size >= least], -rank)[-rank])
    loud, loudest = (int(np.count_nonzero(size >= share * level)) for share in _CLIPPED_LEVELS)
    if level == 0.0 or loudest < _CLIPPED_SHARE * loud:
        return False
    return not _is_tone(frames[int(np.square(frames).sum(axis=1).argmax())], max(round(rate / _TONE_RATE), 1))


def _is_tone(frame: Waveform, step: int) -> bool:
    """Whether a frame is one sine: of three of its samples at even distances, the outer ones fix the middle one."""
    middle, outer = frame[step:-step], frame[2 * step :] + frame[: -2 * step]
    factor = np.dot(outer, middle) / max(float(np.dot(middle, middle)), 1e-20)
    return bool(np.square(outer - factor * middle).sum() <= _TONE_REST * np.square(outer).sum())


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
