"""Decode files, bytes and arrays into blocks of samples, without holding the whole recording in memory.

libsndfile is tried first because it is faster. What it cannot read (phone and browser formats, the sound of
films) is decoded by FFmpeg through PyAV.
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
from emocatcher.foundation.errors import AudioError, DecodeError, EmptyAudioError

Source: TypeAlias = "str | Path | bytes | tuple[NDArray[np.generic], int]"

_MAX_CHANNELS = 64
# FFmpeg also accepts playlists and would open the files that they name. It gets an open file and no protocol with which
# to open another.
_NO_PROTOCOLS = {"protocol_whitelist": "none"}
_UNKNOWN_SIZE = 1 << 31  # bytes; sizes from here on are placeholders, written before the length was known


class Track:
    """A recording that is decoded while it is iterated: blocks of shape (n_samples, n_channels), float32.

    Args:
        source: a path; an encoded file's bytes; or (samples, sample_rate).
        block_s: length of a block in seconds; the last may be shorter, and an array is one block.

    Raises:
        AudioError: during iteration.
    """

    def __init__(self, source: Source, block_s: float) -> None:
        self.name = _name(source)
        self.rate = 0  # Hz; set with the first block
        self.truncated = False  # set with the last block: the data ends before the declared length
        self._source = source
        self._block_s = block_s
        self._libsndfile_failed = False

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
        if n_read == 0 or self._libsndfile_failed:
            # FFmpeg can often decode beyond the position where libsndfile failed.
            yield from _skip(n_read, self._with_ffmpeg(source, n_read))

    def _with_libsndfile(self, source: str | bytes) -> Iterator[Waveform]:
        """Yield blocks as far as libsndfile can read; none if it cannot open the recording."""
        try:
            with soundfile.SoundFile(_Bytes(source) if isinstance(source, bytes) else source) as file:
                self.rate = int(file.samplerate)
                self.truncated = _declares_more(file.extra_info)
                n_left, n_block = file.frames, max(math.ceil(self._block_s * self.rate), 1)
                while n_left > 0 and len(block := _read(file, min(n_block, n_left))):
                    n_left -= len(block)
                    yield block
                self.truncated |= n_left > 0
        except (soundfile.LibsndfileError, RuntimeError, TypeError):
            self._libsndfile_failed = True

    def _with_ffmpeg(self, source: str | bytes, n_before: int) -> Iterator[Waveform]:
        # PyAV takes a quarter of the package's import time, and most recordings do not need it.
        import av

        rate, n_ready = 0, 0
        ready: list[Waveform] = []
        try:
            with _opened(source) as file, av.open(file, mode="r", options=_NO_PROTOCOLS) as container:
                if not container.streams.audio:
                    raise DecodeError(self.name, "contains no sound. Give a recording with an audio track")
                stream = container.streams.audio[0]
                # Planar float at the stream's own rate and layout: FFmpeg only converts the sample format.
                converter = av.AudioResampler(format="fltp")
                for frame in itertools.chain(container.decode(stream), [None]):
                    for converted in converter.resample(frame):
                        # The frame's rate, not the container's: the two differ in HE-AAC.
                        rate = self._same_rate(converted.sample_rate, rate)
                        # Averaged here because a damaged stream may change its number of channels.
                        with np.errstate(invalid="ignore", over="ignore"):  # non-finite samples are refused later
                            ready.append(np.asarray(converted.to_ndarray().mean(axis=0), np.float32))
                        n_ready += len(ready[-1])
                    if n_ready >= self._block_s * rate > 0:
                        yield np.concatenate(ready)[:, None]
                        n_before, n_ready, ready = n_before + n_ready, 0, []
        except (av.FFmpegError, ValueError) as error:
            # A truncated recording is used as far as it can be decoded; one without a single frame is refused.
            if n_before + n_ready == 0:
                reason = "cannot be decoded. Check that it is a complete audio file, or export it again as WAV"
                raise DecodeError(self.name, reason) from error
            self.truncated = True
        if ready:
            yield np.concatenate(ready)[:, None]

    def _same_rate(self, rate: int, before: int) -> int:
        if before and rate != before:
            reason = f"changes its sample rate from {before} to {rate} Hz midway. Convert it to one sample rate"
            raise DecodeError(self.name, reason)
        self.rate = rate
        return rate


def _opened(source: str | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


class _Bytes(io.BytesIO):
    """Bytes whose `seek` keeps its position on an invalid offset.

    A forged header can make libsndfile seek to before the beginning, and an exception cannot pass through its C code.
    """

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _skip(n_samples: int, blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    for block in blocks:
        if len(block) > n_samples:
            yield block[n_samples:]
        n_samples = max(n_samples - len(block), 0)


def _declares_more(log: str) -> bool:
    """Whether libsndfile's log shows a header that declares more bytes than exist, placeholder sizes excepted."""
    sizes = [(int(declared), int(actual)) for declared, actual in re.findall(r"(\d+) \(should be (\d+)\)", log)]
    return any(actual + 1 < declared < _UNKNOWN_SIZE for declared, actual in sizes)


def _read(file: soundfile.SoundFile, n_frames: int) -> Waveform:
    """Read samples, shape (n_samples, n_channels), float32; scaling 16 bits here equals libsndfile's and is faster."""
    if file.subtype != "PCM_16":
        return np.asarray(file.read(n_frames, dtype="float32", always_2d=True))
    return np.asarray(file.read(n_frames, dtype="int16", always_2d=True) * np.float32(1.0 / 32_768.0))


def check_source(source: object) -> None:
    """Check that a value can be a recording, without opening it.

    Raises:
        TypeError: if it is neither a path, nor bytes, nor a pair of samples and their rate.
    """
    if isinstance(source, bytes | str | os.PathLike) or (isinstance(source, tuple) and len(source) == 2):
        return
    kind = f"tuple of {len(source)}" if isinstance(source, tuple) else type(source).__name__
    raise TypeError(f"{kind} is not a recording. Give a path, an encoded file's bytes, or (samples, sample_rate)")


def _name(source: Source) -> str:
    check_source(source)
    if isinstance(source, bytes):
        return "audio bytes"
    return "audio array" if isinstance(source, tuple) else str(source)


def _readable(source: str | Path | bytes, name: str) -> str | bytes:
    """Return a path that the decoders can open, or the bytes."""
    if isinstance(source, bytes):
        if not source:
            raise EmptyAudioError(name, "are empty (0 bytes). Give the bytes of a whole file")
        return source
    path = Path(source)
    try:
        if not path.is_file():
            raise DecodeError(name, "is a folder, not a recording" if path.is_dir() else "no such file")
        if path.stat().st_size == 0:
            raise EmptyAudioError(name, "is an empty file (0 bytes). Record it again, or leave it out")
        with path.open("rb") as file:
            if any("\ud800" <= character <= "\udfff" for character in name):
                # The name's bytes are not valid text. The decoders cannot open such a path, so they get the content.
                return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DecodeError(name, f"cannot be opened: {reason}") from None
    return str(path)


def _from_array(name: str, samples: NDArray[np.generic], sample_rate: int) -> tuple[Waveform, int]:
    try:
        array = np.asarray(samples)
    except ValueError:
        raise AudioError(name, "has rows of different lengths. Give (n_samples,) or (n_samples, n_channels)") from None
    if array.ndim not in (1, 2):
        raise AudioError(name, f"has the shape {array.shape}. Give (n_samples,) or (n_samples, n_channels)")
    if not isinstance(sample_rate, Real) or not math.isfinite(sample_rate) or sample_rate % 1:
        raise AudioError(name, f"has a sample rate of {sample_rate!r}. Give a whole number of Hz")
    columns = array[:, None] if array.ndim == 1 else array
    if columns.shape[1] == 0:
        raise EmptyAudioError(name, "has no channel. Give (n_samples,) or (n_samples, n_channels)")
    if columns.shape[1] > _MAX_CHANNELS:
        raise AudioError(name, f"has {columns.shape[1]} channels. Give (n_samples, n_channels): transpose it")
    if np.issubdtype(array.dtype, np.unsignedinteger):
        half = (np.iinfo(array.dtype).max + 1) / 2
        return ((columns.astype(np.float64) - half) / half).astype(np.float32), int(sample_rate)
    if np.issubdtype(array.dtype, np.signedinteger):
        return (columns / (np.iinfo(array.dtype).max + 1.0)).astype(np.float32), int(sample_rate)
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):  # infinite samples are refused later
            return columns.astype(np.float32, copy=False), int(sample_rate)
    raise AudioError(name, f"has the type {array.dtype}. Give integers or real floating-point numbers")
