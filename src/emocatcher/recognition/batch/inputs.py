"""Find the recordings that a user gives: files, folders, patterns, lists of recordings, and names from a pipe."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from emocatcher.audio import folder_search
from emocatcher.foundation import text_tables
from emocatcher.foundation.errors import AudioError, ManifestError, SettingError

LISTS = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")  # lists of recordings
_CHUNK_SIZE = 1 << 16  # bytes


def expand(names: Iterable[str], on_note: Callable[[str], object] | None = None) -> list[str]:
    """Return the recordings of these names, in their order; a recording that is named twice is returned twice.

    A subfolder that cannot be opened is returned under its own name, so that it gets a row with the error.

    Args:
        names: files; folders, which are searched recursively for audio; patterns such as `calls/*.ogg` or `**/*.wav`;
            lists of recordings: a table (.csv, .tsv, .jsonl, .parquet) with the column `path`, or text (.txt) with one
            name per line, where relative names start at the list's folder. Any other name is returned as it is, so
            that it gets a row with the error.
        on_note: called with a line for each folder that has hidden files, or files with other suffixes.

    Raises:
        AudioError: if a folder has no audio files.
        ManifestError: if a list cannot be read, names no recording, or has segments of recordings.
        SettingError: if a pattern matches nothing.
    """
    found: list[str] = []
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112 (a name that is not text stays as it is)
            found += _in_folder(name, on_note)
        elif glob.has_magic(name) and not os.path.lexists(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
            if not matches:
                raise SettingError(
                    f"The pattern '{name}' matches no file. Patterns start at the current folder, {os.getcwd()}: for "  # noqa: PTH109
                    "recordings in another one, write 'FOLDER/*.ogg'"
                )
            for match in matches:
                found += _in_folder(match, on_note) if os.path.isdir(match) else [match]  # noqa: PTH112
        elif Path(name).suffix.lower() in LISTS and os.path.isfile(name):  # noqa: PTH113
            found += _listed(Path(name))
        else:
            found.append(name)
    return found


def lines(stream: BinaryIO, *, null: bool = False) -> Iterator[str]:
    r"""Yield names from a pipe as they arrive; empty ones are left out.

    Args:
        stream: a stream of bytes, which need not be text.
        null: names end with NUL (`find -print0`), so that they may contain line breaks.

    Raises:
        SettingError: if a name contains NUL, which no file name does: the stream is then probably a recording.

    Examples:
        >>> import io
        >>> list(lines(io.BytesIO(b"a.wav\n\nb c.wav")))
        ['a.wav', 'b c.wav']
    """
    end, rest = b"\0" if null else b"\n", b""
    while piece := stream.read1(_CHUNK_SIZE) if hasattr(stream, "read1") else stream.read(_CHUNK_SIZE):
        *whole, rest = (rest + piece).split(end)
        yield from (os.fsdecode(name) for name in map(_trim, whole) if name)
    if rest := _trim(rest):
        yield os.fsdecode(rest)


def _trim(name: bytes) -> bytes:
    if b"\0" in name:
        raise SettingError(
            "The pipe is not a list of names, because it contains NUL bytes. - reads the names of recordings, one per "
            "line, or with --null each ended by NUL; give a recording by its own name"
        )
    return name.removesuffix(b"\r")


def _listed(path: Path) -> list[str]:
    if path.suffix.lower() == ".txt":
        content = path.read_bytes()
        if (encoding := text_tables.encoding_of(content[:4])) != "utf-8-sig":  # as Windows' Notepad may write
            content = content.decode(encoding, "replace").encode()
        names = [name.removeprefix("\ufeff") for name in lines(io.BytesIO(content))]
    else:
        from emocatcher.corpora import manifest  # imported here, because few calls need it

        names = manifest.read_paths(path)
    if not names:
        raise ManifestError(f"{path} names no recording. Give one per line")
    return [str(folder_search.find_named(path.parent, name)) for name in names]


def _in_folder(folder: str, on_note: Callable[[str], object] | None) -> list[str]:
    inside = folder_search.search(folder)
    found = [*inside.recordings, *(closed for closed in inside.closed if closed != folder)]
    if not found:
        raise AudioError(folder, "is a folder without audio files. Give the files by name if they have other suffixes")
    if on_note is not None:
        for note in folder_search.notes(folder_search.Found(hidden=inside.hidden, others=inside.others)):
            on_note(f"{folder}: {note}")
    return sorted(found)
