"""Find the clips to label in files, folders, patterns and tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from emocatcher.audio import folder_search
from emocatcher.corpora.manifest import columns, table_rows
from emocatcher.foundation.errors import ManifestError
from emocatcher.recognition import batch

_COLUMNS = frozenset({"path", "speaker", "start_s", "end_s"})
_NOT_TEXT = "name is not UTF-8 text, which a table of labels needs"
_NOT_TEXTS = "names are not UTF-8 text, which a table of labels needs"


class Clip(NamedTuple):
    """A recording to label."""

    path: Path
    speaker: str | None = None

    @property
    def key(self) -> str:
        """The same for every name of the file's folder."""
        return key_of(self.path)


@cache  # it asks the file system about each folder
def key_of(path: Path) -> str:
    """Return a file's absolute path, with the links to its folder resolved, so that it is found under any name."""
    return str(Path(os.path.realpath(path.parent), path.name))


def find_clips(names: Iterable[str], on_note: Callable[[str], object], *, speaker_folders: bool = False) -> list[Clip]:
    """Return the recordings of these names in their order, each once.

    Args:
        names: files, folders, patterns and lists, as for `emocatcher predict`; of tables also the column `speaker`.
        on_note: called with a line for what is left out.
        speaker_folders: the first folder inside a folder of `names` is the name of the speaker.

    Raises:
        AudioError: if a folder has no recordings.
        ManifestError: if a table cannot be read, or has segments of recordings.
        SettingError: if a pattern matches nothing.
    """
    found: dict[str, Clip] = {}
    not_text = []
    for name in names:
        if _is_table(name):
            clips = _listed(Path(name))
        else:
            clips = [Clip(Path(path)) for path in batch.only_local(batch.expand([name], on_note), "label")]
            if speaker_folders and Path(name).is_dir():
                inside = [(clip.path, clip.path.relative_to(name).parts) for clip in clips]
                clips = [Clip(path, parts[0] if len(parts) > 1 else None) for path, parts in inside]
        for clip in clips:
            if _is_text(clip.path):
                found.setdefault(clip.key, clip)
            else:
                not_text.append(repr(clip.path.name))
    for note in folder_search.left_out(not_text, _NOT_TEXT, _NOT_TEXTS):
        on_note(note)
    clips = list(found.values())
    if any(clip.speaker for clip in clips) and not all(clip.speaker for clip in clips):
        on_note("Some clips have no speaker, so the speakers are left out: a table needs all of them or none")
        clips = [Clip(clip.path) for clip in clips]
    return clips


def shuffle(clips: Sequence[Clip], seed: int) -> list[Clip]:
    """Return the clips in a random order, which stays the same for the others where a clip is added.

    Examples:
        >>> clips = [Clip(Path(f"/clips/{i}.wav")) for i in range(6)]
        >>> [clip.path.stem for clip in shuffle(clips, 0)] != [clip.path.stem for clip in shuffle(clips, 1)]
        True
        >>> shuffle(clips[1:], 0) == [clip for clip in shuffle(clips, 0) if clip != clips[0]]
        True
    """
    return sorted(clips, key=lambda clip: hashlib.sha256(f"{seed} {clip.path.name} {clip.key}".encode()).digest())


def _is_table(name: str) -> bool:
    return Path(name).suffix.lower() in table_rows.FORMATS


def _listed(table: Path) -> list[Clip]:
    clips = []
    for row in table_rows.read(table, _COLUMNS.__contains__):
        if "path" not in row.cells:
            raise ManifestError(f"{table} has no column 'path', which names the recordings")
        if columns.text_of(row, "start_s") or columns.text_of(row, "end_s"):
            raise ManifestError(
                f"{row.place}: start_s and end_s name a part of a recording, and only whole recordings are labelled "
                "here. Cut it into files, or remove the columns"
            )
        path = folder_search.find_named(table.parent, columns.needed_path(row))
        clips.append(Clip(path, columns.text_of(row, "speaker")))
    if not clips:
        raise ManifestError(f"{table} names no recording. Give one per row")
    return clips


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
