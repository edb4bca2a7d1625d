"""Change the level of a recording, overload it, or cut a part out of it."""

from __future__ import annotations

import numpy as np

from emocatcher.audio.resampling import Waveform


def amplify(waveform: Waveform, gain_db: float) -> Waveform:
    """Make a recording louder or softer.

    Args:
        waveform: shape (n_samples,), float32.
        gain_db: negative for softer.

    Examples:
        >>> amplify(np.ones(1, np.float32), -20.0).tolist()
        [0.10000000149011612]
    """
    return waveform * np.float32(10.0 ** (gain_db / 20.0))


def clip(waveform: Waveform, depth_db: float) -> Waveform:
    """Overload a recording: what is louder than a limit becomes flat, and the peak stays what it was.

    Args:
        waveform: shape (n_samples,), float32.
        depth_db: the limit's distance from the peak, 0 for no change.

    Examples:
        >>> np.round(clip(np.array([1.0, 0.5, -0.05], np.float32), 20.0), 3).tolist()
        [1.0, 1.0, -0.5]
    """
    peak = np.abs(waveform).max(initial=np.float32(0.0))
    return np.clip(amplify(waveform, depth_db), -peak, peak)


def cut(waveform: Waveform, n_samples: int, voiced: slice, random: np.random.Generator) -> Waveform:
    """Cut a part out of the voiced span, at a random place.

    Args:
        waveform: shape (n_samples,), float32.
        n_samples: length of the part.
        voiced: the samples of the voiced span.
        random: the generator.

    Returns:
        shape (n_samples,), or all of the voiced span if that is shorter.

    Examples:
        >>> cut(np.arange(9, dtype=np.float32), 4, slice(3, 7), np.random.default_rng(0)).tolist()
        [3.0, 4.0, 5.0, 6.0]
    """
    span = waveform[voiced]
    start = int(random.integers(max(len(span) - n_samples, 0) + 1))
    return span[start : start + n_samples].copy()
