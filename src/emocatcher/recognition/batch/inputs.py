"""What a user names → recordings: files, folders, patterns, and names from a pipe."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from emocatcher.foundation.errors import AudioError, SettingError

# What is looked for in a folder; a file named outright may be called anything.
SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "m4a", "m4b", "aac", "webm", "amr", "awb", "aif", "aiff"),
        *("aifc", "au", "snd", "caf", "w64", "rf64", "wma", "ac3", "mp2", "mka", "mp4", "m4v", "mkv", "mov", "avi"),
        *("3gp", "3g2", "ts", "mpg", "mpeg", "ogv"),
    )
)
_PIECE = 1 << 16  # bytes


def expand(names: Iterable[str]) -> list[str]:
    """The recordings that these names stand for, in their order; a recording that is named twice comes twice.

    A folder within a folder that cannot be opened comes under its own name, so that it gets a row that says so.

    Args:
        names: files; folders, searched through and through for audio; patterns such as `calls/*.ogg` or `**/*.wav`.
            A name that is none of these stays, so that it gets a row that says so.

    Raises:
        AudioError: if a folder holds no audio.
        SettingError: if a pattern meets nothing.
    """
    found: list[str] = []
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112 (a name that is not text stays as it is)
            found += _in_folder(name)
        elif glob.has_magic(name) and not os.path.lexists(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
            if not matches:
                raise SettingError(f"The pattern '{name}' meets no file. Quote it, and see it from this folder")
            found += expand(matches)
        else:
            found.append(name)
    return found


def lines(stream: BinaryIO, *, null: bool = False) -> Iterator[str]:
    r"""Names from a pipe, as they come; empty ones are left out.

    Args:
        stream: of bytes; they need not be text.
        null: names end with NUL (`find -print0`), so that they may hold line breaks.

    Raises:
        SettingError: if a name holds NUL, which no name does: then it is a recording itself that comes.

    Examples:
        >>> import io
        >>> list(lines(io.BytesIO(b"a.wav\n\nb c.wav")))
        ['a.wav', 'b c.wav']
    """
    end, rest = b"\0" if null else b"\n", b""
    while piece := stream.read1(_PIECE) if hasattr(stream, "read1") else stream.read(_PIECE):
        *whole, rest = (rest + piece).split(end)
        yield from (os.fsdecode(name) for name in map(_trimmed, whole) if name)
    if rest := _trimmed(rest):
        yield os.fsdecode(rest)


def _trimmed(name: bytes) -> bytes:
    if b"\0" in name:
        raise SettingError(
            "What comes through the pipe is no list of names, for it holds NUL bytes. - reads the names of recordings, "
            "one a line, or with --null each ended by NUL; a recording itself is given by its own name"
        )
    return name.removesuffix(b"\r")


def _in_folder(folder: str) -> list[str]:
    found: list[str] = []
    closed: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=closed.append):
        folders.sort()
        found += [os.path.join(root, name) for name in files if Path(name).suffix.lower() in SUFFIXES]  # noqa: PTH118
    found += [str(error.filename) for error in closed if error.filename != folder]
    if not found:
        raise AudioError(folder, "is a folder without audio files. Name the files themselves if they are called oddly")
    return sorted(found)
