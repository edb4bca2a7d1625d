"""Find the recordings that a user gives: files, folders, patterns, lists of recordings, and names from a pipe."""

from __future__ import annotations

import functools
import glob
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from emocatcher.audio import folder_search
from emocatcher.foundation import text_tables, uris
from emocatcher.foundation.errors import AudioError, EmoCatcherError, ManifestError, SettingError

LISTS = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")  # lists of recordings
_CHUNK_SIZE = 1 << 16  # bytes


class _Columns(NamedTuple):
    """Which columns of a list are used."""

    path: str
    id: str | None
    on_id: Callable[[str, str | None], object]


def expand(
    names: Iterable[str],
    on_note: Callable[[str], object] | None = None,
    *,
    column: str = "path",
    id_column: str | None = None,
    on_id: Callable[[str, str | None], object] = lambda *_: None,
) -> list[str]:
    """Return the recordings of these names, in their order; a recording that is named twice is returned twice.

    A subfolder that cannot be opened is returned under its own name, so that it gets a row with the error.

    Args:
        names: files, also by URI; folders, which are searched recursively for audio; patterns such as `calls/*.ogg` or
            `**/*.wav`; lists of recordings: a table (.csv, .tsv, .jsonl, .parquet) with the column `column`, or text
            (.txt) with one name per line, where relative names start at the list's folder. Any other name is returned
            as it is, so that it gets a row with the error: one typing error must not cost the other recordings.
        on_note: called with a line for each folder that has hidden files, or files with other suffixes.
        column: of tables: the one with the recordings.
        id_column: of tables: the one with their ids; None for none.
        on_id: called with each recording of a table and its id, or None.

    Raises:
        AudioError: if a folder has no audio files, there is no such folder (a name that ends with a slash) or list, or
            nothing is there under any of the names.
        UriError: if a folder or a list at a URI cannot be read.
        ManifestError: if a list cannot be read, names no recording, or has segments of recordings.
        SettingError: if a pattern matches nothing.
    """
    found: list[str] = []
    names = list(names)
    _check_there(names)
    columns = _Columns(column, id_column, on_id)
    for name in names:
        if uris.is_uri(name) and uris.scheme_of(name) != "file":
            found += _at_uri(name, on_note, columns)
            continue
        if uris.is_uri(name) and not (path := uris.local_path(name)).is_file():
            name = str(path)
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
        elif Path(name).suffix.lower() in LISTS and (path := _local(name)).is_file():
            found += _listed(path, str(path), columns, functools.partial(_beside, path.parent))
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


def only_local(names: Iterable[str], what: str) -> list[str]:
    """Return names as they are, if none of them is a URI.

    Raises:
        SettingError: if one is.
    """
    found = list(names)
    if remote := next(filter(uris.is_uri, found), None):
        raise SettingError(f"{what} needs files on this computer, and {uris.redacted(remote)} is elsewhere. Copy it")
    return found


def _check_there(names: Sequence[str]) -> None:
    """Refuse names under which nothing is, unless they are of single recordings among others that are there."""
    gone = [name for name in names if _is_gone(name)]
    stands_for_many = [name for name in gone if name.endswith("/") or Path(name).suffix.lower() in LISTS]
    if not stands_for_many and (not gone or len(gone) < len(names)):
        return
    name = (stands_for_many or gone)[0]
    others = "" if stands_for_many or len(names) == 1 else ", nor is one under any of the other names"
    hint = folder_search.other_computer(name) or f" Relative names start at the current folder, {os.getcwd()}"  # noqa: PTH109
    raise AudioError(name, f"no such file or folder{others}.{hint}")


def _is_gone(name: str) -> bool:
    if (uris.is_uri(name) and uris.scheme_of(name) != "file") or glob.has_magic(name):
        return False  # what is elsewhere is not asked for, and a pattern has an error of its own
    try:
        os.stat(uris.local_path(name) if uris.is_uri(name) else name)  # noqa: PTH116 (a name that is not text stays)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # it is there and cannot be read, or is no name of a file: it gets a row
        return False
    return False


def _local(name: str) -> Path:
    return uris.local_path(name) if uris.is_uri(name) else Path(name)


def _at_uri(name: str, on_note: Callable[[str], object] | None, columns: _Columns) -> list[str]:
    """Return the recordings of a URI; of those of a recording, nothing is asked."""
    is_web = uris.scheme_of(name) in uris.WEB
    path = name.partition("?")[0] if is_web else name
    suffix = Path(path).suffix.lower()
    if suffix in LISTS:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"list{suffix}"
            uris.download(name, copy)
            return _listed(copy, uris.redacted(name), columns, lambda listed: uris.beside(name, listed))
    is_pattern = not is_web and glob.has_magic(name)
    if is_web or (suffix in folder_search.SUFFIXES and not is_pattern and not name.endswith("/")):
        return [name]
    kind = "folder" if name.endswith("/") else uris.kind_of(name)
    if kind == "folder":
        return _in_folder(name, on_note)
    if kind == "file" or not is_pattern:
        return [name]
    # As on this computer, a pattern matches hidden names only where it has the dot.
    matches = [match for match in uris.matching(name) if match.count("/.") <= name.count("/.")]
    if not matches:
        raise SettingError(f"The pattern '{uris.redacted(name)}' matches no file. For folders inside, write **/*.ogg")
    found: list[str] = []
    for match in matches:
        found += [match] if Path(match).suffix.lower() in folder_search.SUFFIXES else _at_uri(match, on_note, columns)
    return found


def _beside(folder: Path, name: str) -> str:
    return name if uris.is_uri(name) else str(folder_search.find_named(folder, name))


def _listed(path: Path, place: str, columns: _Columns, full_name: Callable[[str], str]) -> list[str]:
    """Return the full names of a list's recordings; in messages, its place is shown."""
    ids: list[str | None]
    if path.suffix.lower() == ".txt":
        content = path.read_bytes()
        if (encoding := text_tables.encoding_of(content[:4])) != "utf-8-sig":  # as Windows' Notepad may write
            content = content.decode(encoding, "replace").encode()
        names = [name.removeprefix("\ufeff") for name in lines(io.BytesIO(content))]
        ids = [None] * len(names)
    else:
        from emocatcher.corpora import manifest  # imported here, because few calls need it

        try:
            named = manifest.read_recordings(path, columns.path, columns.id)
            names, ids = [name for name, _ in named], [one for _, one in named]
        except EmoCatcherError as error:
            error.args = tuple(str(part).replace(str(path), place) for part in error.args)
            raise
    if not names:
        raise ManifestError(f"{place} names no recording. Give one per line")
    names = [full_name(name) for name in names]
    for name, one in zip(names, ids, strict=True):
        if columns.id is not None:
            columns.on_id(name, one)
    return names


def _in_folder(folder: str, on_note: Callable[[str], object] | None) -> list[str]:
    inside = folder_search.search(folder)
    found = [*inside.recordings, *(closed for closed in inside.closed if closed != folder)]
    if not found:
        raise AudioError(
            uris.redacted(folder), "is a folder without audio files. Give the files by name if they have other suffixes"
        )
    if on_note is not None:
        for note in folder_search.notes(folder_search.Found(hidden=inside.hidden, others=inside.others)):
            on_note(f"{uris.redacted(folder)}: {note}")
    return sorted(found)
