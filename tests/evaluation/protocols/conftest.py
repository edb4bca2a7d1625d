"""A table of utterances with RAVDESS's size and names, without recordings."""

from pathlib import Path

import pytest

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.labels import EMOTIONS


@pytest.fixture(scope="session")
def ravdess_table() -> Corpus:
    """24 speakers with 60 utterances each: 4 neutral, 8 of every other emotion."""
    utterances = []
    for actor in range(1, 25):
        for code, emotion in enumerate(EMOTIONS, start=1):
            for intensity in (1,) if emotion == "neutral" else (1, 2):
                for statement in (1, 2):
                    for repetition in (1, 2):
                        id_ = f"03-01-{code:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}"
                        gender = "male" if actor % 2 else "female"
                        utterances.append(
                            Utterance(
                                id=id_, path=Path(f"{id_}.wav"), emotion=emotion, speaker=f"{actor:02}", gender=gender
                            )
                        )
    return Corpus(name="ravdess", utterances=tuple(utterances), labels=EMOTIONS)
