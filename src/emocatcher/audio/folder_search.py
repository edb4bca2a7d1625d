"""Find the recordings in a folder, and count what is left out."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import msgspec

from emocatcher.foundation import uris

# A file that is given by name may have any suffix.
_NAMES = """
wav wave flac ogg oga opus mp3 m4a m4b aac webm amr awb aif aiff aifc au snd caf w64 rf64 wma ac3 mp2 mka mp4 m4v mkv
mov avi 3gp 3gpp 3ga 3g2 ts mts m2ts vob mpg mpeg mpga ogv ogx flv f4v wmv asf qt qta m4r m4p eac3 ec3 wv tta dts spx
ape gsm sph nist voc 8svx iff avr ircam sf paf sd2 rm ra dss mpc aa aax
weba 3gp2 3gpp2 f4a f4b isma ismv dvd m2t wtv gxf mxf nut mpa m2a mp1 adts latm loas g722 sln htk sds pvf wve xi
oma omg aa3 tak shn mlp thd lc3 qoa sox adx afc apm ast aud dfpwm rso vag
"""
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
_SHOWN = 3
_WINDOWS = re.compile(r"(?:^|/)((?:[a-z]:[\\/]|\\\\).*)", re.IGNORECASE | re.DOTALL)


class Found(msgspec.Struct):
    """The files of a folder and its sub-folders; all names begin with the folder's, as it was given."""

    recordings: list[str] = []  # sorted
    hidden: list[str] = []  # recordings whose name, or a folder of theirs, begins with a dot
    others: list[str] = []  # files that are not hidden and have another suffix
    closed: list[str] = []  # sub-folders that cannot be opened


def expand_home(name: str) -> Path:
    """Return the path with `~` replaced by the user's folder; a file may have a name such as `~x.wav`, which stays.

    Examples:
        >>> expand_home("~nobody-has-this-name.wav").name
        '~nobody-has-this-name.wav'
    """
    return Path(os.path.expanduser(name))  # noqa: PTH111 (pathlib's raises an exception for an unknown user)


def find_named(folder: Path, name: str) -> Path:
    """Return the file that a table names; relative names start at the table's folder.

    A name from another computer is found too: with backslashes, as on Windows, or with accents that are characters of
    their own, as macOS writes them. If there is no such file, the path is returned as the table has it.
    """
    path = folder / expand_home(name)
    if is_file(path):
        return path
    forms = (unicodedata.normalize(form, text) for text in (name, name.replace("\\", "/")) for form in ("NFC", "NFD"))
    return next((found for found in (folder / form for form in forms) if is_file(found)), path)


def other_computer(name: str) -> str:
    """Return a sentence on what to do where a file is missing because its name is an absolute path of Windows, or "".

    Examples:
        >>> other_computer("calls/a.wav")
        ''
    """
    found = _WINDOWS.search(name)
    if os.name == "nt" or not found:
        return ""
    last = PureWindowsPath(found[1]).name
    return f" '{found[1]}' is a path of Windows. Give it as it is on this computer, such as '{last}'."


def is_file(path: Path) -> bool:
    """Whether there is such a file; no file has a name that is too long for one."""
    try:
        return path.is_file()
    except OSError:
        return False


def search(folder: str | Path) -> Found:
    """Search a folder and its sub-folders, also those behind symbolic links, each once; or a folder at a URI.

    Raises:
        UriError: if a folder at a URI cannot be listed.
    """
    found, start = Found(), os.fspath(folder)
    if uris.is_uri(start):
        for inside in uris.names_in(start):
            is_hidden = any(part.startswith(".") for part in inside.split("/"))
            _add(found, f"{start.rstrip('/')}/{inside}", is_hidden=is_hidden)
        return found
    seen: set[tuple[int, int]] = set()

    def note_closed(error: OSError) -> None:
        found.closed.append(str(error.filename))

    for root, folders, names in os.walk(start, followlinks=True, onerror=note_closed):
        place = os.stat(root)  # noqa: PTH116 (a name that is not text stays as it is)
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders.sort()
        is_hidden = any(part.startswith(".") for part in Path(root).relative_to(start).parts)
        for name in names:
            # Hidden, such as the "._clip.wav" that macOS writes next to clip.wav.
            _add(found, os.path.join(root, name), is_hidden=is_hidden or name.startswith("."))  # noqa: PTH118
    for paths in (found.recordings, found.hidden, found.others, found.closed):
        paths.sort()
    return found


def _add(found: Found, path: str, *, is_hidden: bool) -> None:
    if Path(path).suffix.lower() not in SUFFIXES:
        if not is_hidden:
            found.others.append(path)
    elif is_hidden:
        found.hidden.append(path)
    else:
        found.recordings.append(path)


def left_out(paths: Sequence[str], one: str, many: str) -> list[str]:
    """Return one line that counts the files and names some; none if there are no files.

    Examples:
        >>> left_out(["a/1.txt", "a/2.txt"], "file has another suffix", "files have another suffix")
        ['2 files have another suffix, and are left out: a/1.txt, a/2.txt']
    """
    if not paths:
        return []
    names = ", ".join(paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
    what, verb = (one, "is") if len(paths) == 1 else (many, "are")
    return [f"{len(paths)} {what}, and {verb} left out: {names}"]


def notes(found: Found) -> list[str]:
    """Return a line for each kind of file that is no recording of the folder."""
    suffixes = Counter(Path(path).suffix.lower() or "none" for path in found.others)
    kinds = ", ".join(f"{suffix} ({n})" for suffix, n in suffixes.most_common(_SHOWN))
    return [
        *left_out(found.hidden, "recording is hidden", "recordings are hidden"),
        *left_out(found.others, f"file has another suffix, {kinds}", f"files have other suffixes, {kinds}"),
        *left_out(found.closed, "folder cannot be opened", "folders cannot be opened"),
    ]
