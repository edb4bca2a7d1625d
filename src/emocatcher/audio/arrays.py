"""Turn any array of samples into floats at full scale 1: one rule for recognition, streams and the client.

- int8, int16, int32, uint8, uint16 and uint32, in any byte order, are at the full scale of their type; unsigned ones
  are zero at their midpoint.
- Python's lists of integers, and int64 and uint64, are no format of sound: their values are samples of 16 bits if all
  fit these, else of 24 or 32 bits. So are the values of int32 and uint32 if all fit 16 bits, which would be silence at
  the scale of 32 bits.
- Floats are at full scale 1, and may exceed it. Above 8, they are integers stored as floats, and are divided by the
  full scale of 16, 24 or 32 bits, the smallest that they fit.

Where the values decide, the recording gets the caution `rescaled`. A stream does not know the values to come: there,
int32 and uint32 are at full scale, int64 and lists must fit 16 bits, and floats must not exceed 8.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emocatcher.audio.resampling import Waveform
from emocatcher.foundation.errors import AudioError, EmptyAudioError

NAME = "audio array"
MAX_CHANNELS = 64
LARGEST_FLOAT = 8.0  # 18 dB above full scale; decoders and filters exceed it by less
_DIVISORS = (2.0**15, 2.0**23, 2.0**31)  # full scales of 16, 24 and 32 bits
_SLACK = 2.0  # a resampled recording exceeds its full scale somewhat


class ArraySamples(NamedTuple):
    """Samples of an array, and what their values were divided by."""

    samples: Waveform  # (n_samples, n_channels)
    divisor: float  # 1.0 where the type determines the scale, and for floats


def from_array(array: ArrayLike) -> ArraySamples:
    """Turn an array into samples; floats are not divided (see `divisor_of`).

    Args:
        array: shape (n_samples,), (n_samples, n_channels), or, with more than 64 samples, (n_channels, n_samples).

    Raises:
        AudioError: if the shape or the type is not supported.

    Examples:
        >>> from_array([0, 16_384, -32_768])[0].ravel().tolist(), from_array(np.array([64], np.int8))[0].tolist()
        ([0.0, 0.5, -1.0], [[0.5]])
    """
    columns = _columns(array)
    kind, size = columns.dtype.kind, columns.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):  # infinite samples are refused later
            return ArraySamples(columns.astype(np.float32, copy=False), 1.0)
    full_scale = 2.0 ** (8 * size - 1)
    if size < 4:
        return ArraySamples(_scaled(columns, full_scale), 1.0)
    # In a wide unsigned array of 16 bits, zero is at the midpoint of 16 bits.
    largest = float(max(columns.max(initial=0), -float(columns.min(initial=0)))) / (2.0 if kind == "u" else 1.0)
    divisor = next((divisor for divisor in _DIVISORS if largest <= divisor), full_scale)
    if size == 4 and divisor > _DIVISORS[0]:
        divisor = full_scale
    if largest * 2.0**16 < divisor and largest > _DIVISORS[-1]:
        raise AudioError(
            NAME, f"has {columns.dtype} samples up to {largest:.3g}, at an unknown scale. Give int16 or floats"
        )
    return ArraySamples(_scaled(columns, divisor), 1.0 if divisor == full_scale or not largest else divisor)


def from_chunk(array: ArrayLike) -> Waveform:
    """Turn a chunk of a stream into samples, shape (n_samples, n_channels), without knowing the rest of the stream.

    Raises:
        AudioError: as `from_array`, or if the chunk's values have an unknown scale.

    Examples:
        >>> from_chunk([16_384]).tolist(), from_chunk(np.array([16_384], ">i4")).tolist()
        ([[0.5]], [[7.62939453125e-06]])
    """
    columns = _columns(array)
    if columns.dtype.kind in "iu" and columns.dtype.itemsize == 4:
        return _scaled(columns, _DIVISORS[-1])
    samples, divisor = from_array(columns)
    if divisor > _DIVISORS[0]:
        kind = columns.dtype
        raise AudioError(NAME, f"has {kind} samples that do not fit 16 bits. Give int16, int32, or floats in -1 … 1")
    if len(samples) and (largest := float(np.abs(samples).max())) > LARGEST_FLOAT and np.isfinite(largest):
        raise AudioError(NAME, f"has samples up to {largest:g} in a stream. Scale them to -1 … 1")
    return samples


def divisor_of(peak: float) -> float:
    """Return what floats are divided by, given their largest magnitude; 0.0 if it is beyond every full scale.

    Examples:
        >>> [divisor_of(peak) for peak in (1.3, 30_000.0, 1e12)]
        [1.0, 32768.0, 0.0]
    """
    if not peak > LARGEST_FLOAT:  # also of NaN, which is refused elsewhere
        return 1.0
    return next((divisor for divisor in _DIVISORS if peak <= _SLACK * divisor), 0.0)


def _columns(array: ArrayLike) -> NDArray[np.generic]:
    try:
        found = np.asarray(array)
    except ValueError:
        reason = "has rows of different lengths. Give (n_samples,) or (n_samples, n_channels)"
        raise AudioError(NAME, reason) from None
    if found.ndim not in (1, 2):
        raise AudioError(NAME, f"has the shape {found.shape}. Give (n_samples,) or (n_samples, n_channels)")
    if found.dtype.kind not in "iuf":
        raise AudioError(NAME, f"has the type {found.dtype}. Give integers or real floating-point numbers")
    columns = found[:, None] if found.ndim == 1 else found
    if columns.shape[1] == 0:
        raise EmptyAudioError(NAME, "has no channel. Give (n_samples,) or (n_samples, n_channels)")
    if columns.shape[1] > MAX_CHANNELS and len(columns):
        columns = columns.T
    if columns.shape[1] > MAX_CHANNELS:
        raise AudioError(NAME, f"has {columns.shape[1]} channels. Give (n_samples, n_channels), at most {MAX_CHANNELS}")
    return columns


def _scaled(columns: NDArray[np.generic], full_scale: float) -> Waveform:
    wide = columns.astype(np.float64)
    if columns.dtype.kind == "u":
        wide -= full_scale
    wide *= 1.0 / full_scale
    return wide.astype(np.float32)
