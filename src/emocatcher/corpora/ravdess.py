"""Read RAVDESS: a folder of recordings whose file names encode all their labels."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import EMOTIONS

LICENCE = "CC BY-NC-SA 4.0"
N_ACTORS = 24
_INTENSITIES = ("normal", "strong")

# modality 03 (audio only), channel 01 (speech), then emotion, intensity, statement, repetition, actor;
# neutral (01) has no strong intensity (02)
_NAME = re.compile(r"03-01-(?!01-02)(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_ANY_NAME = re.compile(r"0[1-3]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4])")


def find_recordings(root: Path) -> Iterator[Path]:
    """Yield the recordings named `03-01-*`, with any suffix of sound, anywhere under a folder, sorted."""
    yield from map(Path, filter(_is_speech, folder_search.search(root).recordings))


def is_of_ravdess(stem: str) -> bool:
    """Whether a file's stem has the form of all names in RAVDESS, of its songs and films too.

    Examples:
        >>> is_of_ravdess("01-02-05-02-01-02-16"), is_of_ravdess("2024-03-01")
        (True, False)
    """
    return _ANY_NAME.fullmatch(stem) is not None


def is_clip_id(stem: str) -> bool:
    """Whether a file's stem is a valid name of a RAVDESS speech clip.

    Examples:
        >>> is_clip_id("03-01-05-02-01-02-16"), is_clip_id("03-01-2024")
        (True, False)
    """
    return _NAME.fullmatch(stem) is not None


def is_folder_of_ravdess(name: str) -> bool:
    """Whether a folder's name is one of RAVDESS's, rather than a label.

    Examples:
        >>> is_folder_of_ravdess("Actor_01"), is_folder_of_ravdess("angry")
        (True, False)
    """
    return re.search("actor|ravdess", name, re.IGNORECASE) is not None


def parse(path: Path) -> Utterance:
    """Read the labels from a recording's file name.

    Raises:
        CorpusError: if the name is not a valid name of a RAVDESS speech clip.

    Examples:
        >>> clip = parse(Path("Actor_16/03-01-05-02-01-02-16.wav"))
        >>> clip.id, clip.emotion, clip.intensity, clip.gender
        ('03-01-05-02-01-02-16', 'angry', 'strong', 'female')
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise CorpusError(
            f"{path} is not a file name of RAVDESS. Allowed: 03-01-emotion(01-08)-intensity(01-02, "
            "neutral only 01)-statement(01-02)-repetition(01-02)-actor(01-24). Rename the file or move it elsewhere."
        )
    emotion, intensity, statement, repetition, actor = match.groups()
    return Utterance(
        id=path.stem,
        path=path,
        emotion=EMOTIONS[int(emotion) - 1],
        speaker=actor,
        gender="male" if int(actor) % 2 else "female",
        intensity=_INTENSITIES[int(intensity) - 1],
        statement=statement,
        repetition=repetition,
    )


def read(root: Path) -> Corpus:
    """Read a folder of RAVDESS's speech recordings, in any sub-folders.

    Returns:
        the corpus, sorted by actor and then by id; statements and repetitions are "01" or "02". Its notes count what is
        left out, such as RAVDESS's songs.

    Raises:
        CorpusError: if the folder contains no such recording, a file name is invalid, or a recording occurs twice.
    """
    found = folder_search.search(root)
    utterances = [parse(Path(path)) for path in found.recordings if _is_speech(path)]
    if not utterances:
        raise CorpusError(
            f"{root} contains no recording of RAVDESS's speech (03-01-*.wav). Remove the folder and run: "
            "emocatcher fetch ravdess"
        )
    utterances.sort(key=lambda utterance: (utterance.speaker or "", utterance.id, utterance.path))
    others = [path for path in found.recordings if not _is_speech(path)]
    notes = folder_search.left_out(
        others, "recording is not RAVDESS's speech (03-01-*)", "recordings are not RAVDESS's speech (03-01-*)"
    )
    notes += folder_search.notes(found)
    folders = sorted({clip.path.relative_to(root).parts[0] for clip in utterances if clip.path.parent != root})
    if len(folders) > 1 and not any(map(is_folder_of_ravdess, folders)):
        named = ", ".join(folders[:3]) + (" …" if len(folders) > 3 else "")
        notes.append(
            f"the emotions are those of RAVDESS's file names, not the folders' names ({named}). To train on the "
            "folders' names, give a table with the columns path and label"
        )
    return Corpus(name="ravdess", utterances=tuple(utterances), labels=EMOTIONS, licence=LICENCE, notes=tuple(notes))


def _is_speech(path: str) -> bool:
    return Path(path).name.startswith("03-01-")


def clip_ids(n_actors: int = N_ACTORS) -> tuple[str, ...]:
    """Return the ids of the published clips, sorted by actor: 60 per actor, neutral in normal intensity only.

    Examples:
        >>> len(clip_ids()), clip_ids(1)[0]
        (1440, '03-01-01-01-01-01-01')
    """
    return tuple(
        f"03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor:02d}"
        for actor, emotion, intensity, statement, repetition in itertools.product(
            range(1, n_actors + 1), range(1, len(EMOTIONS) + 1), (1, 2), (1, 2), (1, 2)
        )
        if not (EMOTIONS[emotion - 1] == "neutral" and intensity == 2)
    )
