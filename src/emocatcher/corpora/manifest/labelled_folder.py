"""Read a folder with one sub-folder per emotion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora import given_labels
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import ManifestError


def read_folder(root: Path, *, to_check: bool = False) -> Corpus:
    """Read a folder with one sub-folder per emotion, each with recordings at any depth.

    Args:
        root: the folder.
        to_check: accept recordings outside the sub-folders, which have no label.

    Returns:
        the corpus, sorted by path, named like the folder, without speakers. Its notes count the files that are left
        out, and name sub-folders without recordings.

    Raises:
        ManifestError: if there are no such recordings, or some lie outside the sub-folders.
    """
    found = folder_search.search(root)
    paths = [(path, path.relative_to(root)) for path in sorted(map(Path, found.recordings))]
    loose = [str(path) for path, relative in paths if len(relative.parts) == 1]
    if loose and not to_check:
        more = f" and {len(loose) - 1} more are" if len(loose) > 1 else " is"
        raise ManifestError(
            f"{loose[0]}{more} not in an emotion's folder. Put each recording into a sub-folder named after its "
            "emotion, give a table with the columns path and label, or label them: emocatcher label FOLDER --out my.csv"
        )
    if not paths:
        raise ManifestError(
            f"{root} contains no recordings. Give one sub-folder per emotion, with files such as .wav, .mp3 or .m4a."
        )
    utterances = [
        Utterance(id=place.as_posix(), path=path, emotion=place.parts[0] if len(place.parts) > 1 else "")
        for path, place in paths
    ]
    notes = [*folder_search.notes(found), *_notes_on_folders(root, utterances)]
    return given_labels.corpus(root.resolve().name, utterances, notes)


def _notes_on_folders(root: Path, utterances: Sequence[Utterance]) -> Iterator[str]:
    used = {utterance.emotion for utterance in utterances}
    empty = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if empty := [name for name in empty if name not in used]:
        yield f"{len(empty)} sub-folder{'s have' if len(empty) > 1 else ' has'} no recordings: {', '.join(empty[:5])}"
    if deeper := [utterance for utterance in utterances if utterance.id.count("/") > 1]:
        what = "recording lies in a folder" if len(deeper) == 1 else "recordings lie in folders"
        yield (
            f"{len(deeper)} {what} inside the sub-folders. The first folder is the label: {deeper[0].id} is "
            f"'{deeper[0].emotion}'"
        )
