"""Open a recording: a path, a pipe, or an encoded file's bytes."""

from __future__ import annotations

import errno
import io
import os
import stat
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio.folder_search import other_computer
from emocatcher.foundation.errors import DecodeError, EmptyAudioError

Source: TypeAlias = "str | Path | bytes | tuple[NDArray[np.generic], int]"

_LONGEST_PIPE = 1 << 30  # bytes; a pipe has no end that is known before, and its content is kept in memory

_HEADER = 4096  # bytes
_W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")  # identifies the chunk with the samples


def check_source(source: object) -> None:
    """Check that a value can be a recording, without opening it.

    Raises:
        TypeError: if it is neither a path, nor bytes, nor a pair of samples and their rate.
    """
    if isinstance(source, bytes | str | os.PathLike) or (isinstance(source, tuple) and len(source) == 2):
        return
    kind = f"tuple of {len(source)}" if isinstance(source, tuple) else type(source).__name__
    raise TypeError(f"{kind} is not a recording. Give a path, an encoded file's bytes, or (samples, sample_rate)")


def check_several(sources: object) -> None:
    """Check that a value is not one recording, whose letters or bytes would each be taken for a recording.

    Raises:
        TypeError: if it is.

    Examples:
        >>> check_several("clip.wav")
        Traceback (most recent call last):
        TypeError: several recordings are needed, and this is one. Give a list
    """
    is_sound = isinstance(sources, tuple) and len(sources) == 2 and isinstance(sources[1], Real)
    if is_sound or isinstance(sources, bytes | str | os.PathLike):
        raise TypeError("several recordings are needed, and this is one. Give a list")


def name_of(source: Source) -> str:
    """Return the name of a recording for messages.

    Raises:
        TypeError: as `check_source`.

    Examples:
        >>> name_of("clip.wav"), name_of(b"RIFF")
        ('clip.wav', 'audio bytes')
    """
    check_source(source)
    if isinstance(source, bytes):
        return "audio bytes"
    return "audio array" if isinstance(source, tuple) else str(source)


def readable(source: str | Path | bytes) -> str | bytes:
    """Return a path that the decoders can open, or the bytes of the file. A pipe is read to its end.

    Raises:
        DecodeError: if there is no such file, it cannot be opened, or a pipe sends more than 1 GiB.
        EmptyAudioError: if there are no bytes.
    """
    name = name_of(source)
    if isinstance(source, bytes):
        if not source:
            raise EmptyAudioError(name, "are empty (0 bytes). Give the bytes of a whole file")
        return _with_lengths(source)
    path = Path(source)
    try:
        if is_pipe(path):
            return _with_lengths(_from_pipe(path, name))
        if not path.is_file():
            missing = "is a folder, not a recording" if path.is_dir() else "no such file"
            raise DecodeError(name, f"{missing}.{hint}" if (hint := other_computer(name)) else missing)
        if path.stat().st_size == 0:
            raise EmptyAudioError(name, "is an empty file (0 bytes). Record it again, or leave it out")
        with path.open("rb") as file:
            if any("\ud800" <= character <= "\udfff" for character in name):
                # The name's bytes are not valid text. The decoders cannot open such a path, so they get the content.
                return file.read()
            head = file.read(_HEADER)
            if _with_lengths(head) is not head:
                return _with_lengths(head + file.read())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DecodeError(name, f"cannot be opened: {reason}") from None
    return str(path)


def _with_lengths(content: bytes) -> bytes:
    """Return an AU, RF64 or W64 file of unknown length in a form that the decoders read to its end."""
    if content.startswith(b".snd") and content[8:12] == bytes(4):
        return content[:8] + b"\xff" * 4 + content[12:]  # the placeholder of AU
    if content.startswith(b"RF64") and content[12:16] == b"ds64" and not any(content[20:36]):
        return b"RIFF" + content[4:]  # in which libsndfile knows the placeholder
    data = content.find(_W64_DATA, 0, _HEADER)
    if not content.startswith(b"riff") or content[16:24] != b"\xff" * 8 or data < 0:
        return content
    lengths = (len(content).to_bytes(8, "little"), (len(content) - data).to_bytes(8, "little"))
    return content[:16] + lengths[0] + content[24 : data + 16] + lengths[1] + content[data + 24 :]


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a pipe or a device, such as /dev/stdin: it can be read only once, and only by one process."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a name that is not text stays as it is)
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def opened(source: str | bytes, end: int | None = None) -> BinaryIO:
    """Open what `readable` returned, as if it ended at a position."""
    if isinstance(source, bytes):
        return io.BytesIO(source if end is None else source[:end])
    return _File(io.FileIO(source) if end is None else _Part(source, end))


class _File(io.BufferedReader):
    """A file whose `seek` goes to its end where the offset is larger than the file system allows.

    A forged header can declare 2^62 bytes, and FFmpeg goes to the end of what is declared.
    """

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL or offset < 0:
                raise
            return super().seek(0, os.SEEK_END)


class _Part(io.FileIO):
    """The first bytes of a file, up to a position in it."""

    def __init__(self, path: str, end: int) -> None:
        super().__init__(path)
        self._end = end

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(memoryview(buffer)[: max(self._end - self.tell(), 0)]) or 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(offset + self._end, 0) if whence == os.SEEK_END else super().seek(offset, whence)


def _from_pipe(path: Path, name: str) -> bytes:
    """Read a pipe, such as /dev/stdin or a process substitution, to its end: it can be read only once."""
    content = bytearray()
    with path.open("rb", buffering=0) as pipe:
        while part := pipe.read(1 << 20):
            content += part
            if len(content) > _LONGEST_PIPE:
                gib = _LONGEST_PIPE >> 30
                raise DecodeError(name, f"is a pipe that sends more than {gib} GiB. Save it to a file first")
    if not content:
        raise EmptyAudioError(name, "is a pipe that sent nothing. It can be read only once")
    return bytes(content)
