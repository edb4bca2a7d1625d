"""Any file, bytes or array → a mono float32 waveform.

libsndfile reads what it knows (it is the faster one); whatever it refuses goes
to FFmpeg through PyAV: phone and browser formats, and the sound of films.
"""

from __future__ import annotations

import io
import itertools
import math
from numbers import Real
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emocatcher.errors import AudioError, DecodeError, EmptyAudioError, NonFiniteError

Waveform: TypeAlias = NDArray[np.float32]
Source: TypeAlias = "str | Path | bytes | tuple[NDArray[np.generic], int]"

_LOWEST_RATE = 1000  # Hz; no voice fits below, and a forged header would swell to gigabytes when resampled
_LOUDEST = 1e10  # full scale is 1, unscaled 32-bit integers reach 2e9; float32 power overflows from 1e16
_MOST_CHANNELS = 64
_MOST_BYTES = 1 << 30  # decoded at once by libsndfile, which believes whatever length a header claims


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
    name = _name(source)
    samples, native_rate = _from_array(name, *source) if isinstance(source, tuple) else _decode(source, name)
    if native_rate < _LOWEST_RATE:
        raise AudioError(name, f"has a sample rate of {native_rate} Hz. Give a recording of {_LOWEST_RATE} Hz or more")
    if start_s is not None or end_s is not None:
        samples = _cut(name, samples, native_rate, start_s or 0.0, math.inf if end_s is None else end_s)
    if samples.size == 0:
        raise EmptyAudioError(name, "holds no samples. Record it again, or leave it out")
    lowest, highest = float(samples.min()), float(samples.max())  # NaN where one sample is
    if not math.isfinite(lowest) or not math.isfinite(highest):
        raise NonFiniteError(name, "holds NaN or infinite samples. Export it again from the program that made it")
    if max(-lowest, highest) > _LOUDEST:
        raise AudioError(name, f"holds samples from {lowest:g} to {highest:g}. Scale them to -1 … 1")
    waveform = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if sample_rate is not None and sample_rate != native_rate:
        waveform, native_rate = resample(waveform, native_rate, sample_rate), sample_rate
    return np.ascontiguousarray(waveform), native_rate


def resample(waveform: Waveform, source_rate: int, target_rate: int) -> Waveform:
    """Change the sample rate with soxr's HQ quality.

    The length is `ceil(n_samples * target_rate / source_rate)`: the last output sample may lie past the last input
    sample, and is zero where soxr gives one fewer. (librosa's convention, so that frames agree.)

    Args:
        waveform: shape (n_samples,), float32.
        source_rate: Hz.
        target_rate: Hz.

    Returns:
        shape (n_resampled,), float32.

    Examples:
        >>> resample(np.zeros(3, np.float32), 48_000, 22_050).shape
        (2,)
    """
    n_resampled = -(-len(waveform) * target_rate // source_rate)
    resampled: Waveform = soxr.resample(waveform, source_rate, target_rate, quality="HQ")
    if len(resampled) < n_resampled:
        resampled = np.pad(resampled, (0, n_resampled - len(resampled)))
    return resampled[:n_resampled]


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return "audio bytes"
    if isinstance(source, tuple):
        return "audio array"
    return str(source)


def _cut(name: str, samples: Waveform, rate: int, start_s: float, end_s: float) -> Waveform:
    if not 0.0 <= start_s < end_s:
        raise AudioError(name, f"cannot be cut to start_s = {start_s:g}, end_s = {end_s:g}. Give 0 <= start_s < end_s")
    duration_s = len(samples) / rate
    if start_s >= duration_s:
        raise EmptyAudioError(name, f"ends at {duration_s:.2f} s, before start_s = {start_s}")
    return samples[round(start_s * rate) : round(min(end_s, duration_s) * rate)]


def _from_array(name: str, samples: NDArray[np.generic], sample_rate: int) -> tuple[Waveform, int]:
    array = np.asarray(samples)
    if array.ndim not in (1, 2):
        raise AudioError(name, f"has the shape {array.shape}. Give (n_samples,) or (n_samples, n_channels)")
    if not isinstance(sample_rate, Real) or not math.isfinite(sample_rate) or sample_rate % 1:
        raise AudioError(name, f"has a sample rate of {sample_rate!r}. Give a whole number of Hz")
    columns = array[:, None] if array.ndim == 1 else array
    if columns.shape[1] == 0:
        raise EmptyAudioError(name, "has no channel")
    if columns.shape[1] > _MOST_CHANNELS:
        raise AudioError(name, f"has {columns.shape[1]} channels. Give (n_samples, n_channels): transpose it")
    if np.issubdtype(array.dtype, np.unsignedinteger):
        half = (np.iinfo(array.dtype).max + 1) / 2
        return ((columns.astype(np.float64) - half) / half).astype(np.float32), int(sample_rate)
    if np.issubdtype(array.dtype, np.signedinteger):
        return (columns / (np.iinfo(array.dtype).max + 1.0)).astype(np.float32), int(sample_rate)
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):  # infinity then, and refused as that
            return columns.astype(np.float32, copy=False), int(sample_rate)
    raise AudioError(name, f"holds {array.dtype}. Give integers or real floating-point numbers")


def _decode(source: str | Path | bytes, name: str) -> tuple[Waveform, int]:
    if not isinstance(source, bytes):
        path = Path(source)
        if any("\ud800" <= character <= "\udfff" for character in str(path)):
            # A name whose bytes are not text: the decoders take none, so they are given what is in the file.
            return _decode(_read_bytes(path, name), name)
        try:
            if not path.is_file():
                raise DecodeError(name, "is a folder, not a recording" if path.is_dir() else "no such file")
            if path.stat().st_size == 0:
                raise EmptyAudioError(name, "is an empty file (0 bytes)")
            with path.open("rb"):
                pass
        except OSError as error:
            raise DecodeError(name, f"cannot be opened: {error.strerror}") from None
    elif not source:
        raise EmptyAudioError(name, "are empty (0 bytes)")
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            if file.frames * file.channels * 4 <= _MOST_BYTES:
                return _read(file), int(file.samplerate)
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        pass
    return _decode_with_ffmpeg(source, name)


def _read(file: soundfile.SoundFile) -> Waveform:
    """All samples, shape (n_samples, n_channels), float32; of 16 bit the same as libsndfile's own scaling, sooner."""
    if file.subtype != "PCM_16":
        return np.asarray(file.read(file.frames, dtype="float32", always_2d=True))
    return np.asarray(file.read(file.frames, dtype="int16", always_2d=True) * np.float32(1.0 / 32_768.0))


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DecodeError(name, f"cannot be opened: {error.strerror}") from None


def _decode_with_ffmpeg(source: str | Path | bytes, name: str) -> tuple[Waveform, int]:
    # PyAV takes a quarter of the package's import time, and most recordings never need it.
    import av

    blocks: list[Waveform] = []
    rate = 0
    refusal = "is not a recording that can be decoded: is it audio at all, and whole?"
    try:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), mode="r") as container:
            if not container.streams.audio:
                raise DecodeError(name, "holds no sound")
            stream = container.streams.audio[0]
            # Planar float and the stream's own rate and layout: FFmpeg changes the sample format only.
            converter = av.AudioResampler(format="fltp")
            for frame in itertools.chain(container.decode(stream), [None]):
                for converted in converter.resample(frame):
                    # The frame's rate, not the container's: the two differ in HE-AAC. Averaged here, for a broken
                    # stream may change its channels on the way.
                    rate = converted.sample_rate
                    blocks.append(np.asarray(converted.to_ndarray().mean(axis=0), np.float32))
    except (av.FFmpegError, ValueError) as error:
        # A recording that breaks off is used as far as it goes; one without a single frame is refused.
        if not blocks:
            raise DecodeError(name, refusal) from error
    if not blocks:
        raise EmptyAudioError(name, "holds no samples. Record it again, or leave it out")
    return np.concatenate(blocks)[:, None], rate
