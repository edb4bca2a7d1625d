"""Mix channels to one, without the loss that averaging causes where channels carry the same voice but cancel.

A voice in opposite phase averages to silence, and one that arrives a millisecond late loses every second kilohertz.
Both show in the correlation of the channels over time: its peak is negative, or not at zero. Then only the loudest
channel is used of those with the same voice, and of channels that have sound where the loudest has none: in a call with
a person on each side, an echo of the one in the channel of the other correlates too. Channels that are silent, or have
steady noise only, are left out of the average.

Or one channel is used alone (`index_of`), as in a call with a person on each side.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio.resampling import Waveform
from emocatcher.foundation.errors import SettingError

Channels: TypeAlias = str | int  # "mix", "left", "right", or a number from 1; "each" where there may be several answers

_SIDES = ("left", "right")  # the first two channels
_SILENT = 1e-4  # power relative to the loudest channel
_FRAME_S = 0.1  # at most
_N_FRAMES = 16  # that are compared, of those within 20 dB of the loudest
_N_PARTS = 4  # of these, which are compared on their own
_ACTIVE = 0.01  # power relative to the loudest frame
_LATEST_S = 0.025
_BAND_HZ = (80.0, 4000.0)  # of a voice
_SAME_VOICE = 0.5  # correlation; that of two persons, or of a voice and noise, is below 0.3
_QUIET_COPY = 0.04  # power relative to the loudest channel: a quieter copy changes no frequency by more than 4 dB
_CLEARLY = 0.1  # by how much a late copy correlates more than a simultaneous one
_STEADY_DB, _LIVELY_DB = 4.0, 12.0  # from the quiet to the loud frames: noise has less, and a voice has more
_LEAST_FRAMES = 8  # to know whether a channel is steady
_OWN = 10.0  # factor on the power of the loudest channel, and of its own quiet frames, in a channel's own sound
_OWN_FRAMES = 3  # with own sound, at least: a short word


class Choice(NamedTuple):
    """The channels to average."""

    used: tuple[int, ...]
    cancelling: tuple[int, ...] = ()  # left out because the average would cancel the voice
    own_s: tuple[float, ...] = ()  # by channel, how long it has sound where the others have none, seconds


def index_of(channels: Channels) -> int | None:
    """Return the index, from 0, of the channel that is to be used alone; None for the mix.

    Raises:
        SettingError: if it is neither "mix", "left", "right" nor a number from 1.

    Examples:
        >>> index_of("mix"), index_of("left"), index_of("right"), index_of("3"), index_of(3)
        (None, 0, 1, 2, 2)
    """
    name = str(channels)
    if name == "mix":
        return None
    if name in _SIDES:
        return _SIDES.index(name)
    if name.isdecimal() and (number := int(name)) >= 1:
        return number - 1
    if name == "each":
        raise SettingError("'each' gives several answers, and this gives one: use predict_each or timeline_each")
    raise SettingError(f"Channels '{name}'. Give mix, left, right, each, or the number of a channel, from 1")


def check(channels: Channels) -> None:
    """Check a choice of channels that may also be "each".

    Raises:
        SettingError: if it is neither that nor a choice for `index_of`.
    """
    if channels != "each":
        index_of(channels)


def choose(samples: Waveform, sample_rate: int) -> Choice:
    """Choose the channels of a recording, shape (n_samples, n_channels), whose average keeps the voice.

    Two persons, each in one channel, do not cancel, so both are used; `own_s` shows them.

    Examples:
        >>> voice = np.random.default_rng(0).normal(size=8_000).astype(np.float32)
        >>> choose(np.stack([0.8 * voice, -voice], axis=1), 8_000)
        Choice(used=(1,), cancelling=(0,), own_s=(0.0, 0.0))
        >>> choose(np.stack([0.8 * voice, voice], axis=1), 8_000)
        Choice(used=(0, 1), cancelling=(), own_s=(0.0, 0.0))
    """
    n_channels = samples.shape[1]
    everything = Choice(tuple(range(n_channels)))
    if n_channels == 1 or len(samples) < 2 or _are_equal(samples):
        return everything
    n = min(1 << int(_FRAME_S * sample_rate).bit_length() - 1, len(samples))
    n_frames = len(samples) // n
    centred = (samples[: n_frames * n] - samples.mean(axis=0, dtype=np.float64).astype(np.float32)).T
    frames = centred.reshape(n_channels, n_frames, n)
    power = np.square(frames).sum(axis=2).astype(np.float64)
    used = _with_voice(power)
    own_s = tuple(count * n / sample_rate for count in _count_own(power).tolist())
    loudest = max(used, key=lambda channel: float(power[channel].sum()))
    active = np.flatnonzero(power[loudest] >= _ACTIVE * power[loudest].max())
    active = active[np.linspace(0, len(active) - 1, min(len(active), _N_FRAMES)).astype(np.int64)]
    related, cancelling = set(), set()
    for other in used:
        # The phase may change midway, so parts are compared.
        for part in np.array_split(active, _N_PARTS if len(active) == _N_FRAMES else 1) if other != loudest else ():
            if power[other, part].sum() < _QUIET_COPY * power[loudest, part].sum():
                continue
            same_voice, cancels = _compare(frames[loudest, part], frames[other, part], sample_rate)
            related.update([other] if same_voice else [])
            cancelling.update([other] if cancels else [])
    if not cancelling:
        return Choice(used, own_s=own_s)
    # The loudest is not related to itself.
    left_out = tuple(one for one in used if one in related and not _has_own_sound(power[one], power[loudest]))
    return Choice(tuple(channel for channel in used if channel not in left_out), left_out, own_s)


def mix(samples: Waveform, used: tuple[int, ...]) -> Waveform:
    """Average channels of `samples`, shape (n_samples, n_channels); the result has the shape (n_samples,), float32."""
    if len(used) == 1:
        return samples[:, used[0]]
    return np.asarray((samples if len(used) == samples.shape[1] else samples[:, used]).mean(axis=1, dtype=np.float32))


def with_channels(samples: Waveform, n_channels: int) -> Waveform:
    """Return samples with another number of channels, each of them the average; unchanged if they have it already."""
    if samples.shape[1] == n_channels:
        return samples
    return np.repeat(samples.mean(axis=1, keepdims=True, dtype=np.float32), n_channels, axis=1)


def _are_equal(samples: Waveform) -> bool:
    return all(np.array_equal(samples[:, 0], samples[:, channel]) for channel in range(1, samples.shape[1]))


def _with_voice(power: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the channels that are neither silent nor steady noise, given the power of each one's frames."""
    total = power.sum(axis=1)
    heard = np.flatnonzero(total >= _SILENT * total.max())
    if power.shape[1] < _LEAST_FRAMES:
        return tuple(heard.tolist())
    level = 10.0 * np.log10(np.maximum(power[heard], 1e-30))
    # The third loudest frame: a click is shorter, and one short word in half a minute is as long.
    quiet, loud = np.quantile(level, 0.1, axis=1), np.sort(level, axis=1)[:, -_OWN_FRAMES]
    lively = heard[loud - quiet >= _STEADY_DB] if (loud - quiet).max() >= _LIVELY_DB else heard
    return tuple(lively.tolist())


def _has_own_sound(other: NDArray[np.float64], loudest: NDArray[np.float64]) -> bool:
    """Whether a channel has sound where the loudest has none, given the power of the frames of both."""
    least = np.maximum(_OWN * np.quantile(other, 0.1), _ACTIVE * loudest.max())
    return bool(((other >= _OWN * loudest) & (other >= least)).sum() >= _OWN_FRAMES)


def _count_own(power: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count each channel's frames with sound while all others have none, given the power of each frame.

    A person may be much louder than the other, so what is sound is relative to the channel's own level.
    """
    others = np.stack([np.delete(power, channel, axis=0).max(axis=0) for channel in range(len(power))])
    least = np.maximum(_OWN * np.quantile(power, 0.1, axis=1), _ACTIVE * power.max(axis=1))
    is_own = (power > _OWN * others) & (power >= least[:, None])
    is_own &= (power.sum(axis=1) >= _SILENT * power.sum(axis=1).max())[:, None]
    found: NDArray[np.int64] = np.count_nonzero(is_own, axis=1)
    return found


def _compare(one: Waveform, other: Waveform, sample_rate: int) -> tuple[bool, bool]:
    """Whether two channels, shape (n_frames, n), have the same voice; and whether in opposite phase, or late."""
    n = 2 * one.shape[1]
    hz = np.fft.rfftfreq(n, 1.0 / sample_rate)
    # A voice has more power the lower the frequency; weighed like this, its correlation has one narrow peak.
    weights = np.where((hz >= _BAND_HZ[0]) & (hz <= _BAND_HZ[1]), hz, 0.0)
    first, second = np.fft.rfft(one, n), np.fft.rfft(other, n)
    power = [float((weights * np.square(np.abs(spectra)).sum(axis=0)).sum()) for spectra in (first, second)]
    products = np.fft.irfft(weights * (first.conj() * second).sum(axis=0), n) * n / 2.0
    latest = min(int(_LATEST_S * sample_rate), n // 2 - 1)
    correlation = np.concatenate([products[n - latest :], products[: latest + 1]])
    correlation /= max(math.sqrt(power[0] * power[1]), 1e-30)
    peak = float(correlation[np.abs(correlation).argmax()])
    same_voice = abs(peak) >= _SAME_VOICE
    return same_voice, same_voice and (peak < 0.0 or peak > float(correlation[latest]) + _CLEARLY)


class LiveMixer:
    """Mix the channels of sound that arrives in chunks.

    The first `n_samples` samples are held back, to choose the channels by them. Then the choice for each `n_samples`
    samples is made by those before, because the next ones are not known. The result does not depend on the chunks.

    Args:
        sample_rate: Hz.
        n_samples: by which the channels are chosen.
    """

    def __init__(self, sample_rate: int, n_samples: int) -> None:
        self._sample_rate, self._n_samples = sample_rate, max(n_samples, 1)
        self._chunks: list[Waveform] = []  # at most n_samples samples
        self._n_held = self._n_channels = 0
        self._choice: Choice | None = None

    def push(self, chunk: Waveform) -> Waveform:
        """Add samples, shape (n_samples, n_channels); return those that are ready, shape (n_ready,), both float32."""
        self._n_channels = self._n_channels or chunk.shape[1]
        chunk = with_channels(chunk, self._n_channels)
        if self._n_channels == 1:
            return chunk[:, 0]
        parts = [np.empty(0, np.float32)]
        while len(chunk):
            part, chunk = np.split(chunk, [self._n_samples - self._n_held])
            self._chunks.append(part)
            self._n_held += len(part)
            if self._choice is not None:
                parts.append(mix(part, self._choice.used))
            if self._n_held == self._n_samples:
                parts += [] if self._choice is not None else [self.finish()]
                self._choose()
        return np.concatenate(parts)

    def finish(self) -> Waveform:
        """Return the samples still held back, shape (n_samples,), float32; nothing can be pushed afterwards."""
        if self._choice is not None or not self._chunks:
            return np.empty(0, np.float32)
        held = np.concatenate(self._chunks)
        return mix(held, choose(held, self._sample_rate).used)

    def _choose(self) -> None:
        self._choice = choose(np.concatenate(self._chunks), self._sample_rate)
        self._chunks, self._n_held = [], 0
