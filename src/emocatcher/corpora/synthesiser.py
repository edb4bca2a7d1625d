"""Synthesise speech with a source-filter model: pulses and noise, shaped by formants that move between syllables.

The voiced source is a band-limited pulse train (Stilson & Smith 1996, "Alias-free digital synthesis of classic
analog waveforms"), the vocal tract a cascade of second-order resonances (Klatt 1980, "Software for a
cascade/parallel formant synthesizer"), applied frame by frame in the short-time spectrum. The speech need not be
intelligible; it only varies what emotion changes in speech: pitch, range, tempo, loudness and timbre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000  # Hz
_N_FFT = 512  # samples
_HOP = 128  # samples
_TOP_HZ = 7500.0  # the highest harmonic
_RAMP_S = 0.015  # onset and release

Values: TypeAlias = npt.NDArray[np.floating[Any]]


class Voice(NamedTuple):
    """The constant properties of a speaker's voice."""

    pitch_hz: float
    formant_scale: float  # 1 for a long vocal tract, about 1.17 for a short one
    tilt_db: float  # dB per octave, added to the neutral slope
    breath_db: float  # dB, added to the breath noise
    tempo: float  # 1 is average
    level_db: float  # dB, added to the level


class Delivery(NamedTuple):
    """The properties of speech that change with the emotion."""

    pitch_st: float  # semitones from the voice's own pitch
    range_st: float  # semitones between accents and valleys
    final_st: float  # semitones at the last syllable: above 0 rises
    tempo: float  # 1 is average
    level_db: float  # dBFS, RMS
    tilt_db: float  # dB per octave: above 0 is bright and tense
    breath_db: float  # dB, breath noise relative to the voice
    jitter_st: float  # semitones, random from frame to frame
    tremor_st: float  # semitones, a slow periodic change
    formant_shift: float  # relative: above 0 for spread lips


class _Consonant(NamedTuple):
    duration_s: float
    voicing: float  # relative to the vowel's
    hiss: float  # noise during the consonant
    burst: float  # noise at its release
    centre_hz: float  # centre frequency of the noise


# Adult male formants F1 to F3 in Hz (Peterson & Barney 1952, table II); @ is the neutral tube.
_VOWELS = {
    "i": (390.0, 1990.0, 2550.0),
    "a": (730.0, 1090.0, 2440.0),
    "o": (570.0, 840.0, 2410.0),
    "@": (500.0, 1500.0, 2500.0),
}
_F4_HZ = 3500.0
_BANDWIDTHS_HZ = np.array([80.0, 100.0, 120.0, 175.0])
_CONSONANTS = {
    "k": _Consonant(0.07, 0.0, 0.0, 0.5, 2200.0),
    "t": _Consonant(0.07, 0.0, 0.0, 0.5, 4200.0),
    "s": _Consonant(0.10, 0.0, 0.4, 0.4, 6000.0),
    "d": _Consonant(0.05, 0.15, 0.0, 0.25, 3500.0),
    "g": _Consonant(0.05, 0.15, 0.0, 0.2, 2000.0),
    "b": _Consonant(0.05, 0.15, 0.0, 0.15, 1000.0),
}
_STRESSED_S, _UNSTRESSED_S = 0.21, 0.13  # duration of a syllable at tempo 1


def synthesise(
    syllables: Sequence[str], voice: Voice, delivery: Delivery, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Synthesise a sentence.

    Args:
        syllables: a consonant and a vowel each ("ki", "d@"); those without the vowel "@" are stressed.
        voice: the speaker's voice.
        delivery: the emotion's delivery.
        random: the generator for jitter and noise.

    Returns:
        waveform: shape (n_samples,), float64 at `SAMPLE_RATE`; sound from its first to its last sample,
            unless the first consonant begins with silence (k, t).

    Examples:
        >>> voice = Voice(pitch_hz=120, formant_scale=1, tilt_db=0, breath_db=0, tempo=1, level_db=0)
        >>> plain = Delivery(0, 2, -2, 1, -20, 0, -30, 0.1, 0, 0)
        >>> waveform = synthesise(["ba", "t@"], voice, plain, np.random.default_rng(0))
        >>> f"{waveform.size / SAMPLE_RATE:.2f} s, rms {20 * np.log10(waveform.std()):.0f} dBFS"
        '0.34 s, rms -20 dBFS'
    """
    tempo = voice.tempo * delivery.tempo
    durations = np.array([_UNSTRESSED_S if s[1] == "@" else _STRESSED_S for s in syllables]) / tempo
    ends = np.cumsum(durations)
    n_samples = round(float(ends[-1]) * SAMPLE_RATE)
    n_frames = n_samples // _HOP + 2
    times = np.arange(n_frames) * (_HOP / SAMPLE_RATE)

    voicing, noise, centre, formants = _articulation(syllables, durations, times)
    formants = formants * voice.formant_scale * (1 + delivery.formant_shift)
    pitch = voice.pitch_hz * 2 ** (_intonation(syllables, ends, durations, delivery, times, random) / 12)

    frequencies = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)
    slope_db = -6 + voice.tilt_db + delivery.tilt_db  # -12 from the glottis, +6 from the lips
    slope = (np.maximum(frequencies, 50.0) / 500.0) ** (slope_db / 6.02)
    tract = _resonances(frequencies, formants)
    breath = 10 ** ((delivery.breath_db + voice.breath_db) / 20) * voicing[:, None] * tract
    frication = noise[:, None] * np.exp(-0.5 * ((frequencies - centre[:, None]) / 900.0) ** 2)

    n_source = (n_frames - 1) * _HOP + _N_FFT  # half a window more at each end
    pulses = _short_time(_pulse_train(pitch, n_source))
    hiss = _short_time(random.standard_normal(n_source))
    waveform = _overlap_add(pulses * (voicing[:, None] * slope * tract) + hiss * (breath + frication))
    waveform = waveform[_N_FFT // 2 :][:n_samples]
    # Windowing smears sound beyond the span; the ramps make its ends exact.
    n_ramp = round(_RAMP_S * SAMPLE_RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, n_ramp)) ** 2
    waveform[:n_ramp] *= ramp
    waveform[-n_ramp:] *= ramp[::-1]
    level = 10 ** ((delivery.level_db + voice.level_db) / 20)
    return np.asarray(waveform * (level / waveform.std()))


def _articulation(syllables: Sequence[str], durations: Values, times: Values) -> tuple[Values, ...]:
    """Interpolate voicing, noise and its centre, each (n_frames,), and formants (n_frames, 4), between points."""
    points = []
    start = 0.0
    for syllable, duration in zip(syllables, durations, strict=True):
        consonant, vowel = _CONSONANTS[syllable[0]], syllable[1]
        held = min(consonant.duration_s, 0.4 * duration)
        formants = (*_VOWELS[vowel], _F4_HZ)
        stress = 0.7 if vowel == "@" else 1.0
        points += [
            (start, consonant.voicing, consonant.hiss, consonant.centre_hz, *formants),
            (start + 0.6 * held, consonant.voicing, consonant.hiss, consonant.centre_hz, *formants),
            (start + 0.8 * held, consonant.voicing, consonant.burst, consonant.centre_hz, *formants),
            (start + 1.2 * held, stress, 0.0, consonant.centre_hz, *formants),
            (start + 0.95 * duration, 0.6 * stress, 0.0, consonant.centre_hz, *formants),
        ]
        start += duration
    at, *tracks = np.array(points).T
    voicing, noise, centre, *formant_tracks = (np.interp(times, at, track) for track in tracks)
    return voicing, noise, centre, np.stack(formant_tracks, axis=1)


def _intonation(
    syllables: Sequence[str],
    ends: Values,
    durations: Values,
    delivery: Delivery,
    times: Values,
    random: np.random.Generator,
) -> Values:
    """Return semitones from the voice's own pitch, (n_frames,): fall, accents, last syllable, tremor and jitter."""
    position = times / ends[-1]
    semitones = delivery.pitch_st + delivery.range_st * 0.5 * (0.5 - position)
    for syllable, end, duration in zip(syllables, ends, durations, strict=True):
        if syllable[1] != "@":
            height = random.uniform(0.4, 1.0)
            semitones += delivery.range_st * height * np.exp(-0.5 * ((times - end + 0.5 * duration) / 0.06) ** 2)
    semitones += delivery.final_st * np.clip((times - ends[-2]) / durations[-1], 0, 1)
    semitones += delivery.tremor_st * np.sin(2 * np.pi * (6.0 * times + random.uniform()))
    return np.asarray(semitones + max(delivery.jitter_st, 0.0) * random.standard_normal(times.size))


def _pulse_train(pitch: Values, n_samples: int) -> Values:
    """Sum all harmonics up to `_TOP_HZ` in phase, (n_samples,), with unit power, from a pitch in Hz per frame."""
    # A frame's time is the middle of its window.
    track = np.interp(np.arange(n_samples), np.arange(pitch.size) * _HOP + _N_FFT // 2, pitch)
    half_phase = np.pi * np.cumsum(track) / SAMPLE_RATE
    n_harmonics = np.floor(_TOP_HZ / track)
    # The sum of cos(k * phase) for k = 1 … n has a closed form (the Dirichlet kernel), so no loop is needed.
    below = np.sin(half_phase)
    below = np.where(np.abs(below) < 1e-9, 1e-9, below)
    kernel = np.sin((2 * n_harmonics + 1) * half_phase) / (2 * below) - 0.5
    return np.asarray(kernel / np.sqrt(n_harmonics / 2))


def _resonances(frequencies: Values, formants: Values) -> Values:
    """Return the magnitude response of the cascade of resonances, (n_frames, n_bins), 1 at 0 Hz."""
    gain = np.ones((formants.shape[0], frequencies.size))
    for formant, bandwidth in zip(formants.T[:, :, None], _BANDWIDTHS_HZ, strict=True):
        gain *= formant**2 / np.hypot(formant**2 - frequencies**2, frequencies * bandwidth)
    return gain


_WINDOW = np.sin(np.pi * np.arange(_N_FFT) / _N_FFT)  # its square is a Hann window, which sums to 2 at a hop of 1/4


def _short_time(signal: Values) -> npt.NDArray[np.complex128]:
    """Compute windowed spectra, (n_frames, n_bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, _N_FFT)[::_HOP]
    spectra: npt.NDArray[Any] = np.fft.rfft(frames * _WINDOW, axis=1)
    return spectra


def _overlap_add(spectra: npt.NDArray[np.complex128]) -> Values:
    """Invert `_short_time`; exact away from the ends."""
    frames = np.fft.irfft(spectra, n=_N_FFT, axis=1) * (_WINDOW / 2)
    n_frames, n_parts = frames.shape[0], _N_FFT // _HOP
    blocks = np.zeros((n_frames + n_parts - 1, _HOP))
    for part in range(n_parts):
        blocks[part : part + n_frames] += frames[:, part * _HOP : (part + 1) * _HOP]
    return blocks.ravel()
