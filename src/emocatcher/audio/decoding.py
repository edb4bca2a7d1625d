"""Decode files, bytes and arrays into blocks of samples, without holding the whole recording in memory.

libsndfile is tried first because it is faster. FFmpeg decodes MP3, what libsndfile cannot read (phone and browser
formats, the sound of films), and the rest of a recording from where it is damaged.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Generator, Iterator
from numbers import Real
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import ArrayLike

from emocatcher.audio import arrays, file_ends, joined_files, ogg
from emocatcher.audio.containers import Decoder
from emocatcher.audio.probing import estimated_duration_s, has_pauses
from emocatcher.audio.resampling import Waveform
from emocatcher.audio.sources import Encoded, Source, check_whole, held, is_pipe, name_of, opened, readable
from emocatcher.foundation import uris
from emocatcher.foundation.errors import AudioError, DecodeError
from emocatcher.foundation.uris import RemoteFile

# What libsndfile notes when it passes over damaged parts of FLAC and Ogg, and when it does not understand a header.
_DAMAGE = re.compile(r"hole|Skipped \d+ bytes|ERROR : FLAC")
# A size of a header that is not the file's, as libsndfile notes it.
_SIZES = re.compile(r"^(?! *Bytes/sec)[^:\n]+:? +(\d+) \(?should be (\d+)", re.MULTILINE)
_NOT_UNDERSTOOD = "***"
_UNSEEN = ("FLAC", "OGG")  # libsndfile reads the first of joined files, and notes damage only in its log
_ANY_LENGTH = 1 << 62  # libsndfile's length of a FLAC whose header declares none is above


class Track:
    """A recording that is decoded while it is iterated: blocks of shape (n_samples, n_channels), float32.

    Args:
        source: a path; a URI; an encoded file's bytes; or (samples, sample_rate).
        block_s: length of a block in seconds; the last may be shorter, and an array is one block.

    Raises:
        AudioError: during iteration.
    """

    def __init__(self, source: Source, block_s: float) -> None:
        self.name = name_of(source)
        self.rate = 0  # Hz; set with the first block
        self.truncated = False  # set with the last block: the end is missing
        self.lost: list[tuple[float, float]] = []  # set with the last block: damaged parts, (start_s, end_s), silent
        self.n_unread = 0  # set with the last block: bytes behind the declared end that may be another recording
        self.n_tracks = 1  # set with the last block: sound tracks, of which the default one is read
        self.divisor = 1.0  # set with the first block: what the values of an array were divided by, if not by its type
        self._source = source
        self._block_s = block_s

    def __iter__(self) -> Iterator[Waveform]:
        if isinstance(self._source, tuple):
            (samples, self.divisor), self.rate = _from_array(self.name, *self._source)
            yield samples
            return
        with held(self._source) as source:
            if isinstance(source, tuple):
                return
            try:
                for block in self._decoded(readable(source)):
                    check_whole(source)
                    yield block
            except DecodeError:
                check_whole(source)
                raise
            check_whole(source)

    def _decoded(self, source: Encoded) -> Iterator[Waveform]:
        n_read, is_complete = 0, False
        if not _is_mpeg(source):  # libmpg123 stops at damage, trusts estimated lengths, and prints to stderr
            blocks = self._with_libsndfile(source)
            try:
                while True:
                    block = next(blocks)
                    n_read += len(block)
                    yield block
            except StopIteration as end:
                is_complete = end.value
        if not is_complete:
            decoder = Decoder(source, self.name, self._block_s)
            for block in _skip(n_read, iter(decoder)):
                self.rate = decoder.rate
                yield block
            self.truncated, self.n_unread, self.n_tracks = decoder.truncated, decoder.n_unread, decoder.n_tracks
            self.lost = [(start_s, end_s) for start_s, end_s in decoder.lost if end_s * decoder.rate > n_read]

    def _with_libsndfile(self, source: Encoded) -> Generator[Waveform, None, bool]:
        """Yield blocks as far as libsndfile reads without damage; return whether it is the whole recording."""
        try:
            with soundfile.SoundFile(source if isinstance(source, str) else _Seekable(opened(source))) as file:
                kind = file.format
                # Behind the end that is declared, libsndfile reads W64's bytes as samples.
                is_too_long = kind == "W64" and any(found[0] < found[1] for found in _sizes(file.extra_info))
                if file.subtype == "MPEG_LAYER_III" or is_too_long:
                    return False
                self.rate = int(file.samplerate)
                self.truncated = _declares_more(file.extra_info)
                n_left, n_block = file.frames, max(math.ceil(self._block_s * self.rate), 1)
                is_long = n_left > n_block
                if kind in _UNSEEN and not _is_one_stretch(source, kind, n_left / self.rate, is_long=is_long):
                    return False
                while n_left > 0 and len(block := _read(file, min(n_block, n_left))):
                    if kind in _UNSEEN and _DAMAGE.search(file.extra_info):
                        return False
                    n_left -= len(block)
                    if kind == "OGG" and len(block) < n_block and n_left > 0:
                        return False  # libsndfile leaves out pauses, which Ogg declares by a step in time
                    yield block
                with opened(source) as opened_file:
                    self.n_unread = joined_files.n_unread(opened_file)
                    if kind == "OGG":
                        self.truncated = not self.n_unread and ogg.breaks_off(opened_file)
                self.truncated |= 0 < n_left < _ANY_LENGTH
                return file.frames > 0 or _NOT_UNDERSTOOD not in file.extra_info
        except (soundfile.LibsndfileError, RuntimeError, TypeError):
            return False


def declared_duration_s(source: Source) -> float | None:
    """Return the duration that a file's header declares, or FFmpeg estimates, without decoding; None if unknown.

    Args:
        source: a path, or what `sources.held` yields.

    Examples:
        >>> declared_duration_s("no such file")
    """
    if isinstance(source, tuple) or uris.is_uri(source) or (isinstance(source, str | os.PathLike) and is_pipe(source)):
        return None
    found = source if isinstance(source, bytes | RemoteFile) else os.fspath(source)
    try:
        if not _is_mpeg(found):
            return float(soundfile.info(found if isinstance(found, str) else _Seekable(opened(found))).duration)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError):
        pass
    return estimated_duration_s(found)


class _Seekable:
    """An open file whose `seek` keeps its position on an invalid offset.

    A forged header can make libsndfile seek to before the beginning, and an exception cannot pass through its C code.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.read, self.tell = file, file.read, file.tell

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return self._file.seek(offset, whence)
        except (ValueError, OverflowError):
            return self._file.tell()


def _skip(n_samples: int, blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    for block in blocks:
        if len(block) > n_samples:
            yield block[n_samples:]
        n_samples = max(n_samples - len(block), 0)


def _is_one_stretch(source: Encoded, kind: str, duration_s: float, *, is_long: bool) -> bool:
    """Whether libsndfile reads all of it: it stops after the first of several recordings, and skips an Ogg's pauses."""
    with opened(source) as file:
        if joined_files.next_one(file) is not None or (kind == "OGG" and ogg.starts_late(file, duration_s)):
            return False
    # Of a short recording, no block has been used when libsndfile returns too few samples.
    return not (kind == "OGG" and is_long and has_pauses(source))


def _is_mpeg(source: Encoded) -> bool:
    with opened(source) as file:
        head = file.read(3)
    return head == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0)


def _declares_more(log: str) -> bool:
    """Whether libsndfile's log shows a header that declares more bytes than exist, placeholders excepted."""
    return any(actual + 1 < declared and not file_ends.is_placeholder(declared) for declared, actual in _sizes(log))


def _sizes(log: str) -> list[tuple[int, int]]:
    """Return the sizes in libsndfile's log that are not the file's: declared and actual bytes."""
    return [(int(declared), int(actual)) for declared, actual in _SIZES.findall(log)]


def _read(file: soundfile.SoundFile, n_frames: int) -> Waveform:
    """Read samples, shape (n_samples, n_channels), float32; scaling 16 bits here equals libsndfile's and is faster."""
    if file.subtype != "PCM_16":
        return np.asarray(file.read(n_frames, dtype="float32", always_2d=True))
    return np.asarray(file.read(n_frames, dtype="int16", always_2d=True) * np.float32(1.0 / 32_768.0))


def _from_array(name: str, array: ArrayLike, sample_rate: int) -> tuple[arrays.ArraySamples, int]:
    found = arrays.from_array(array)
    if not isinstance(sample_rate, Real) or not math.isfinite(sample_rate) or sample_rate % 1:
        raise AudioError(name, f"has a sample rate of {sample_rate!r}. Give a whole number of Hz")
    return found, int(sample_rate)
