"""Open a recording: a path, a URI, a pipe, or an encoded file's bytes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio.folder_search import other_computer
from emocatcher.foundation import uris
from emocatcher.foundation.errors import AudioError, DecodeError, EmptyAudioError, UnreachableError, UriError
from emocatcher.foundation.uris import RemoteFile

Source: TypeAlias = "str | Path | bytes | RemoteFile | tuple[NDArray[np.generic], int]"
Encoded: TypeAlias = "str | bytes | RemoteFile"  # what the decoders open: a path, content, or a file at a URI

_LONGEST_PIPE = 1 << 30  # bytes; a pipe has no end that is known before, and its content is kept in memory

_HEADER = 4096  # bytes
# Beginnings of the formats that are decoded from their beginning to their end, so that no temporary file is needed.
# Others, such as FLAC and Ogg, are read more than once, or in another order.
_IN_ORDER = (b"RIFF", b"RF64", b"riff", b"FORM", b"caff", b".snd", b"ID3", b"\x1a\x45\xdf\xa3")
_W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")  # identifies the chunk with the samples


def check_source(source: object) -> None:
    """Check that a value can be a recording, without opening it.

    Raises:
        TypeError: if it is neither a path or a URI, nor bytes, nor a pair of samples and their rate.
    """
    if isinstance(source, bytes | str | os.PathLike | RemoteFile) or (isinstance(source, tuple) and len(source) == 2):
        return
    kind = f"tuple of {len(source)}" if isinstance(source, tuple) else type(source).__name__
    raise TypeError(
        f"{kind} is not a recording. Give a path, a URI, an encoded file's bytes, or (samples, sample_rate)"
    )


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
    return "audio array" if isinstance(source, tuple) else path_of(source)


def path_of(source: object) -> str:
    """Return the path of a recording as given, or its URI without anything secret; "" for bytes and arrays.

    Examples:
        >>> path_of(Path("clip.wav")), path_of("https://host/clip.wav?token=1"), path_of(b"RIFF")
        ('clip.wav', 'https://host/clip.wav?…', '')
    """
    if isinstance(source, RemoteFile):
        return source.name
    return uris.redacted(os.fsdecode(source)) if isinstance(source, str | os.PathLike) else ""


@contextlib.contextmanager
def held(source: Source, *, often: bool = False) -> Iterator[Source]:
    """Open what is read from elsewhere, so that it can be read several times while it costs one transfer.

    Args:
        source: the recording.
        often: it will be read as often as it has channels, so that a large file at a URI is fetched first.

    Yields:
        of a pipe its content; of a URI the file there, in a temporary file if its format is not decoded in order; else
        the source itself.

    Raises:
        DecodeError: if there is no such file, or a pipe sends more than 1 GiB.
        EmptyAudioError: if a pipe sends nothing.
        UnreachableError: if the place of a URI cannot be reached, or refuses it.
    """
    if uris.is_uri(source) and uris.scheme_of(source) != "file":
        with _audio_errors(), contextlib.ExitStack() as stack:
            file = stack.enter_context(RemoteFile(source))
            if often or not _is_in_order(file.head):
                file.fetch()
            opened_file = stack.pop_all()
        with opened_file:
            yield file
    elif uris.is_uri(source):
        with _audio_errors():
            path = str(uris.local_path(source))
        yield path
    elif isinstance(source, str | os.PathLike) and is_pipe(source):
        try:
            content = _from_pipe(Path(source), name_of(source))
        except OSError as error:
            raise DecodeError(name_of(source), f"cannot be opened: {error.strerror}") from None
        yield content
    else:
        yield source


def check_whole(source: Source) -> None:
    """Raise the error of a file at a URI that could not be read further, which its decoders took for the end.

    Raises:
        UnreachableError: if there is one.
    """
    if isinstance(source, RemoteFile) and source.error is not None:
        with _audio_errors():
            raise source.error


@contextlib.contextmanager
def _audio_errors() -> Iterator[None]:
    try:
        yield
    except UriError as error:
        kind: type[AudioError] = DecodeError if error.kind == "missing" else UnreachableError
        raise kind(error.uri, error.reason) from None


def _is_in_order(head: bytes) -> bool:
    is_mpeg = head[:1] == b"\xff" and head[1:2] >= b"\xe0"
    return is_mpeg or head[4:8] == b"ftyp" or head.startswith(_IN_ORDER)


def readable(source: str | Path | bytes | RemoteFile) -> Encoded:
    """Return what the decoders can open: a path, the bytes of the file, or the file at a URI.

    Raises:
        DecodeError: if there is no such file, or it cannot be opened.
        EmptyAudioError: if there are no bytes.
    """
    name = name_of(source)
    if isinstance(source, RemoteFile):
        if not source.size:
            raise EmptyAudioError(name, "is an empty file (0 bytes). Record it again, or leave it out")
        if _with_lengths(source.head[:_HEADER]) == source.head[:_HEADER]:
            return source
        with source.open() as remote:
            return _with_lengths(remote.read())
    if isinstance(source, bytes):
        if not source:
            raise EmptyAudioError(name, "are empty (0 bytes). Give the bytes of a whole file")
        return _with_lengths(source)
    path = Path(source)
    try:
        if not path.is_file():
            missing = "is a folder, not a recording" if path.is_dir() else "no such file"
            hint = other_computer(name) or uris.unknown_scheme(name)
            raise DecodeError(name, f"{missing}.{hint}" if hint else missing)
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


def opened(source: Encoded, end: int | None = None) -> BinaryIO:
    """Open what `readable` returned, as if it ended at a position."""
    if isinstance(source, RemoteFile):
        return source.open(end)
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
