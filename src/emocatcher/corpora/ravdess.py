"""Read RAVDESS: a folder of recordings whose file names encode all their labels."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import EMOTIONS

LICENCE = "CC BY-NC-SA 4.0"
N_ACTORS = 24
_INTENSITIES = ("normal", "strong")

# modality 03 (audio only), channel 01 (speech), then emotion, intensity, statement, repetition, actor;
# neutral (01) has no strong intensity (02)
_NAME = re.compile(r"03-01-(?!01-02)(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")


def find_recordings(root: Path) -> Iterator[Path]:
    """Yield the files named `03-01-*.wav` or `03-01-*.flac` anywhere under a folder, in no particular order."""
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith("03-01-") and name.lower().endswith((".wav", ".flac")):
                yield Path(folder, name)


def is_clip_id(stem: str) -> bool:
    """Whether a file's stem is a valid name of a RAVDESS speech clip.

    Examples:
        >>> is_clip_id("03-01-05-02-01-02-16"), is_clip_id("03-01-2024")
        (True, False)
    """
    return _NAME.fullmatch(stem) is not None


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
    """Read a folder of RAVDESS's speech recordings, WAV or FLAC, in any sub-folders.

    Returns:
        the corpus, sorted by actor and then by id; statements and repetitions are "01" or "02".

    Raises:
        CorpusError: if the folder contains no such recording, a file name is invalid, or a recording occurs twice.
    """
    utterances = [parse(path) for path in find_recordings(root)]
    if not utterances:
        raise CorpusError(
            f"{root} contains no recording of RAVDESS (03-01-*.wav or .flac). Remove the folder and run: "
            "emocatcher fetch ravdess"
        )
    utterances.sort(key=lambda utterance: (utterance.speaker or "", utterance.id, utterance.path))
    return Corpus(name="ravdess", utterances=tuple(utterances), labels=EMOTIONS, licence=LICENCE)


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
