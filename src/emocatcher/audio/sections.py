"""Check the samples of a recording, bring them to full scale 1 and mix its channels, section by section."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emocatcher.audio import channels
from emocatcher.audio.arrays import divisor_of
from emocatcher.audio.decoding import Track
from emocatcher.audio.resampling import Waveform
from emocatcher.audio.sources import Source
from emocatcher.foundation.errors import AudioError, EmptyAudioError, NonFiniteError

SECTION_S = 30.0
LOWEST_RATE = 1000  # Hz; lower rates cannot carry a voice, and a forged header would resample to gigabytes
_VOICE_S = 0.5
_BEGINNING_S = 0.1  # is decoded to know the number of channels
_SHORTEST_S = 1.0  # a shorter last section is mixed as the one before


class Section(NamedTuple):
    """A section of a recording."""

    mono: Waveform  # (n_samples,)
    samples: Waveform  # (n_samples, n_channels)
    peak: float  # largest magnitude of a sample in any channel


class LeftOut(NamedTuple):
    """A channel that is not used in a part of a recording."""

    start_s: float
    end_s: float
    channel: int  # from 0


def require(channel: int, n_channels: int, name: str) -> None:
    """Check that a recording has a channel, which is counted from 0.

    Raises:
        AudioError: if it has not.
    """
    if channel >= n_channels:
        has = "1 channel" if n_channels == 1 else f"{n_channels} channels"
        allowed = "channel 1" if n_channels == 1 else f"1 to {n_channels}"
        raise AudioError(name, f"has {has}, so there is no channel {channel + 1}. Give {allowed}, or mix")


def count_channels(source: Source) -> int:
    """Return the number of channels that a recording begins with; only its beginning is decoded.

    Raises:
        AudioError: if it cannot be read, or has no samples.

    Examples:
        >>> count_channels((np.zeros((8_000, 2)), 8_000))
        2
    """
    track = Track(source, _BEGINNING_S)
    for block in track:
        return int(block.shape[1])
    raise EmptyAudioError(track.name, "contains no samples. Record it again, or leave it out")


class Sections:
    """The sections of a recording, each of `SECTION_S` seconds but the last, whatever the decoder's blocks.

    Args:
        track: decodes the recording.
        section_s: another length, for recordings that are not used if they are longer, seconds.
        channel: the one to use alone, from 0; None for the mix. If the number of channels changes midway, those of the
            beginning go on, each as the average.

    Raises:
        AudioError: during iteration, if no front end can process the samples, or there is no such channel.
    """

    def __init__(self, track: Track, section_s: float = SECTION_S, channel: int | None = None) -> None:
        self._track, self._section_s, self._channel = track, section_s, channel
        self._own_s: dict[int, float] = {}  # by channel: how long it has sound where the others have none
        self._divisor = 1.0  # of the decoder's samples
        self._cancelling: dict[int, list[LeftOut]] = {}  # by channel
        self.quiet_channels: set[int] = set()  # left out somewhere, because they are silent or have steady noise only

    @property
    def divisor(self) -> float:
        """What the samples were divided by because of their values, not because of their type; 1.0 for nothing."""
        return max(self._divisor, self._track.divisor)

    @property
    def channels_cancel(self) -> tuple[LeftOut, ...]:
        """What was left out because the average would cancel the voice, in order of time."""
        return tuple(sorted(part for parts in self._cancelling.values() for part in parts))

    @property
    def voices(self) -> tuple[int, ...]:
        """The channels, from 0, with sound for `_VOICE_S` or longer where the others have none; empty below two."""
        found = tuple(channel for channel, own_s in sorted(self._own_s.items()) if own_s >= _VOICE_S)
        return found if len(found) > 1 else ()

    def __iter__(self) -> Iterator[Section]:
        n_samples = n_at_first = 0
        choice = channels.Choice(())
        for samples in self._joined():
            samples, peak = self._at_full_scale(samples, is_first=n_samples == 0)
            n_channels = samples.shape[1]
            if self._channel is not None:
                n_at_first = n_at_first or n_channels
                require(self._channel, n_at_first, self._track.name)
                samples = channels.with_channels(samples, n_at_first)[:, self._channel : self._channel + 1]
                n_samples += len(samples)
                yield Section(samples[:, 0], samples, float(np.abs(samples).max()))
                continue
            if n_samples == 0 or max(choice.used) >= n_channels or len(samples) >= _SHORTEST_S * self._track.rate:
                choice = channels.choose(samples, self._track.rate)
                self.quiet_channels |= set(range(n_channels)) - {*choice.used, *choice.cancelling}
                for channel, own_s in enumerate(choice.own_s):
                    self._own_s[channel] = self._own_s.get(channel, 0.0) + own_s
            start_s, end_s = (n / self._track.rate for n in (n_samples, n_samples + len(samples)))
            for channel in choice.cancelling:
                parts = self._cancelling.setdefault(channel, [])
                goes_on = bool(parts) and parts[-1].end_s == start_s
                parts.append(LeftOut(parts.pop().start_s if goes_on else start_s, end_s, channel))
            n_samples += len(samples)
            yield Section(channels.mix(samples, choice.used), samples, peak)
        if n_samples == 0:
            raise EmptyAudioError(self._track.name, "contains no samples. Record it again, or leave it out")

    def _joined(self) -> Iterator[Waveform]:
        """Yield the decoder's blocks, joined and cut to sections."""
        held: list[Waveform] = []
        n_held = 0
        for block in self._track:
            if self._track.rate < LOWEST_RATE:
                reason = f"has a sample rate of {self._track.rate} Hz. Give a recording of {LOWEST_RATE} Hz or more"
                raise AudioError(self._track.name, reason)
            n = max(math.ceil(self._section_s * self._track.rate), 1)
            if held:
                block = channels.with_channels(block, held[0].shape[1])
            while len(block):
                part, block = block[: n - n_held], block[n - n_held :]
                held.append(part)
                n_held += len(part)
                if n_held == n:
                    yield held[0] if len(held) == 1 else np.concatenate(held)
                    held, n_held = [], 0
        if held:
            yield held[0] if len(held) == 1 else np.concatenate(held)

    def _at_full_scale(self, samples: Waveform, *, is_first: bool) -> tuple[Waveform, float]:
        name = self._track.name
        lowest, highest = float(samples.min()), float(samples.max())  # NaN if any sample is NaN
        if not math.isfinite(lowest) or not math.isfinite(highest):
            reason = "contains NaN or infinite samples. Export it again from the program that made it"
            raise NonFiniteError(name, reason)
        peak = max(-lowest, highest)
        if is_first:
            self._divisor = divisor_of(peak)
        if not 0.0 < divisor_of(peak) <= self._divisor:
            raise AudioError(name, f"has samples from {lowest:g} to {highest:g}. Scale them to -1 … 1")
        if self._divisor == 1.0:
            return samples, peak
        return samples / np.float32(self._divisor), peak / self._divisor
