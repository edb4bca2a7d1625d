"""Files, bytes and arrays → blocks of samples, without the whole ever standing in memory.

libsndfile reads what it knows (it is the faster one); whatever it refuses goes
to FFmpeg through PyAV: phone and browser formats, and the sound of films.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import re
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from emocatcher.audio.resampling import Waveform
from emocatcher.errors import AudioError, DecodeError, EmptyAudioError

Source: TypeAlias = "str | Path | bytes | tuple[NDArray[np.generic], int]"

_MOST_CHANNELS = 64
# FFmpeg takes lists of other files for recordings too, and would open what they name. It is given an open file, and no
# way to open another.
_NOTHING_ELSE = {"protocol_whitelist": "none"}
_ENDLESS = 1 << 31  # bytes; what a header says that was written before the length was known


class Track:
    """A recording as it is decoded: an iterator of blocks, shape (n_samples, n_channels), float32.

    Args:
        source: a path; an encoded file's bytes; or (samples, sample_rate).
        block_s: seconds in a block, but for the last; the blocks of an array are as long as it is.

    Raises:
        AudioError: while it is iterated.
    """

    def __init__(self, source: Source, block_s: float) -> None:
        self.name = _name(source)
        self.rate = 0  # Hz; known with the first block
        self.truncated = False  # known with the last one: the recording breaks off before its end
        self._source = source
        self._block_s = block_s
        self._broken = False

    def __iter__(self) -> Iterator[Waveform]:
        if isinstance(self._source, tuple):
            samples, self.rate = _from_array(self.name, *self._source)
            yield samples
            return
        source = _readable(self._source, self.name)
        n_read = 0
        for block in self._with_libsndfile(source):
            n_read += len(block)
            yield block
        if n_read == 0 or self._broken:
            # What libsndfile stumbles over, FFmpeg may read on from there.
            yield from _after(n_read, self._with_ffmpeg(source, n_read))

    def _with_libsndfile(self, source: str | bytes) -> Iterator[Waveform]:
        """Nothing at all, where libsndfile cannot read it."""
        try:
            with soundfile.SoundFile(_Bytes(source) if isinstance(source, bytes) else source) as file:
                self.rate = int(file.samplerate)
                self.truncated = _claims_more(file.extra_info)
                n_left, n_block = file.frames, max(math.ceil(self._block_s * self.rate), 1)
                while n_left > 0 and len(block := _read(file, min(n_block, n_left))):
                    n_left -= len(block)
                    yield block
                self.truncated |= n_left > 0
        except (soundfile.LibsndfileError, RuntimeError, TypeError):
            self._broken = True

    def _with_ffmpeg(self, source: str | bytes, n_before: int) -> Iterator[Waveform]:
        # PyAV takes a quarter of the package's import time, and most recordings never need it.
        import av

        rate, n_ready = 0, 0
        ready: list[Waveform] = []
        try:
            with _opened(source) as file, av.open(file, mode="r", options=_NOTHING_ELSE) as container:
                if not container.streams.audio:
                    raise DecodeError(self.name, "holds no sound")
                stream = container.streams.audio[0]
                # Planar float and the stream's own rate and layout: FFmpeg changes the sample format only.
                converter = av.AudioResampler(format="fltp")
                for frame in itertools.chain(container.decode(stream), [None]):
                    for converted in converter.resample(frame):
                        # The frame's rate, not the container's: the two differ in HE-AAC.
                        rate = self._same_rate(converted.sample_rate, rate)
                        # Averaged here, for a broken stream may change its channels on the way.
                        with np.errstate(invalid="ignore", over="ignore"):  # not finite then, and refused as that
                            ready.append(np.asarray(converted.to_ndarray().mean(axis=0), np.float32))
                        n_ready += len(ready[-1])
                    if n_ready >= self._block_s * rate > 0:
                        yield np.concatenate(ready)[:, None]
                        n_before, n_ready, ready = n_before + n_ready, 0, []
        except (av.FFmpegError, ValueError) as error:
            # A recording that breaks off is used as far as it goes; one without a single frame is refused.
            if n_before + n_ready == 0:
                reason = "is not a recording that can be decoded: is it audio at all, and whole?"
                raise DecodeError(self.name, reason) from error
            self.truncated = True
        if ready:
            yield np.concatenate(ready)[:, None]

    def _same_rate(self, rate: int, before: int) -> int:
        if before and rate != before:
            raise DecodeError(self.name, f"changes its sample rate from {before} to {rate} Hz on the way. Convert it")
        self.rate = rate
        return rate


def _opened(source: str | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


class _Bytes(io.BytesIO):
    """Stays where it is when a forged header sends libsndfile before the beginning: from C no exception comes back."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _after(n_samples: int, blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    for block in blocks:
        if len(block) > n_samples:
            yield block[n_samples:]
        n_samples = max(n_samples - len(block), 0)


def _claims_more(log: str) -> bool:
    """Whether libsndfile's log says that a header promises more bytes than there are; a stream's promises none."""
    sizes = [(int(claimed), int(real)) for claimed, real in re.findall(r"(\d+) \(should be (\d+)\)", log)]
    return any(real + 1 < claimed < _ENDLESS for claimed, real in sizes)


def _read(file: soundfile.SoundFile, n_frames: int) -> Waveform:
    """Samples, shape (n_samples, n_channels), float32; of 16 bit the same as libsndfile's own scaling, sooner."""
    if file.subtype != "PCM_16":
        return np.asarray(file.read(n_frames, dtype="float32", always_2d=True))
    return np.asarray(file.read(n_frames, dtype="int16", always_2d=True) * np.float32(1.0 / 32_768.0))


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return "audio bytes"
    if isinstance(source, tuple):
        return "audio array"
    if not isinstance(source, str | os.PathLike):
        kind = type(source).__name__
        raise TypeError(f"{kind} is no recording. Give a path, an encoded file's bytes, or (samples, sample_rate)")
    return str(source)


def _readable(source: str | Path | bytes, name: str) -> str | bytes:
    """A path that the decoders take, or the bytes."""
    if isinstance(source, bytes):
        if not source:
            raise EmptyAudioError(name, "are empty (0 bytes)")
        return source
    path = Path(source)
    try:
        if not path.is_file():
            raise DecodeError(name, "is a folder, not a recording" if path.is_dir() else "no such file")
        if path.stat().st_size == 0:
            raise EmptyAudioError(name, "is an empty file (0 bytes)")
        with path.open("rb") as file:
            if any("\ud800" <= character <= "\udfff" for character in name):
                # A name whose bytes are not text: the decoders take none, so they are given what is in the file.
                return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DecodeError(name, f"cannot be opened: {reason}") from None
    return str(path)


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
