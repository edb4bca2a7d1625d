"""Add noise to a recording: pink noise, or the voices of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emocatcher.audio.resampling import Waveform

N_VOICES = 8  # of a café
_FLOOR_DB = -10.0  # pink noise of a café, relative to the voices
_LOWEST_HZ = 20.0  # of pink noise


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float, voiced: slice) -> Waveform:
    """Add noise whose level is fixed by the level of the voice, not by that of the pauses around it.

    Args:
        waveform: shape (n_samples,), float32.
        noise: shape (n_samples,), float32; its level does not matter. Silence is added as it is.
        snr_db: ratio of the powers of voice and noise over the voiced span.
        voiced: the samples of the voiced span.

    Examples:
        >>> voice, noise = np.array([0, 2, 0], np.float32), np.ones(3, np.float32)
        >>> add_noise(voice, noise, 0.0, slice(1, 2)).tolist()
        [2.0, 4.0, 2.0]
    """
    power = _power(noise[voiced])
    if power == 0.0:
        return waveform + noise
    gain = np.sqrt(_power(waveform[voiced]) / power) * 10.0 ** (-snr_db / 20.0)
    return waveform + noise * np.float32(gain)


def pink_noise(n_samples: int, sample_rate: int, random: np.random.Generator) -> Waveform:
    """Make noise with the same power in each octave, as most background noise has roughly.

    Args:
        n_samples: length.
        sample_rate: Hz.
        random: the generator.

    Returns:
        shape (n_samples,), float32, with a power of 1.
    """
    frequencies = np.fft.rfftfreq(n_samples, 1.0 / sample_rate)
    spectrum = np.fft.rfft(random.standard_normal(n_samples)) / np.sqrt(np.maximum(frequencies, _LOWEST_HZ))
    return _unit(np.fft.irfft(spectrum, n_samples).astype(np.float32))


def babble(voices: Sequence[Waveform], n_samples: int, random: np.random.Generator) -> Waveform:
    """Add up voices of equal level, each repeated from a random place on.

    Args:
        voices: each of shape (n,), float32, preferably without pauses at its ends; silent ones do not count.
        n_samples: length.
        random: the generator.

    Returns:
        shape (n_samples,), float32, with a power of 1.

    Raises:
        ValueError: if all voices are silent.
    """
    total = np.zeros(n_samples, np.float32)
    for voice in voices:
        start = int(random.integers(max(len(voice), 1)))
        if _power(voice) > 0.0:
            total += np.resize(np.roll(_unit(voice), -start), n_samples)
    if _power(total) == 0.0:
        raise ValueError(f"{len(voices)} voices, all silent; needed: at least one that is not")
    return _unit(total)


def cafe(voices: Sequence[Waveform], n_samples: int, sample_rate: int, random: np.random.Generator) -> Waveform:
    """Make the noise of a café: up to eight of the voices, drawn at random, and pink noise 10 dB below them.

    Args:
        voices: as for `babble`.
        n_samples: length.
        sample_rate: Hz.
        random: the generator.

    Returns:
        shape (n_samples,), float32, with a power of 1.

    Raises:
        ValueError: if the drawn voices are silent.
    """
    drawn = random.permutation(len(voices))[:N_VOICES]
    together = babble([voices[number] for number in drawn.tolist()], n_samples, random)
    floor = pink_noise(n_samples, sample_rate, random) * np.float32(10.0 ** (_FLOOR_DB / 20.0))
    return _unit(together + floor)


def _power(waveform: Waveform) -> float:
    return float(np.square(waveform, dtype=np.float64).mean()) if len(waveform) else 0.0


def _unit(waveform: Waveform) -> Waveform:
    return waveform * np.float32(1.0 / np.sqrt(_power(waveform))) if _power(waveform) else waveform
