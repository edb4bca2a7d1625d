"""What a corpus is here: a table of utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from emocatcher.errors import CorpusError


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, or one stretch of a recording, with the emotion it is labelled with.

    Examples:
        >>> Utterance(id="03-01-05-01-02-01-16", path=Path("a.wav"), emotion="angry", speaker="16").speaker
        '16'
    """

    id: str  # unique within its corpus, and what protocols name
    path: Path
    emotion: str
    speaker: str | None = None
    gender: str | None = None  # "female" or "male"
    intensity: str | None = None  # "normal" or "strong"
    statement: str | None = None
    repetition: str | None = None
    start_s: float | None = None  # None: from the file's first sample
    end_s: float | None = None  # None: up to the file's last sample
    split: str | None = None  # "train", "valid" or "test", where the manifest fixes it


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """A named table of utterances.

    Raises:
        CorpusError: if two utterances share an id, or one has an emotion that is not among `labels`.
    """

    name: str
    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]  # the order of the model's outputs
    licence: str = "unknown"
    synthetic: bool = False  # made by a program: every figure of it is stamped

    def __post_init__(self) -> None:
        seen: dict[str, Utterance] = {}
        for utterance in self.utterances:
            if utterance.id in seen:
                paths = f"{seen[utterance.id].path} and {utterance.path}"
                raise CorpusError(
                    f"Corpus '{self.name}' holds two utterances named '{utterance.id}': {paths}. Ids must be unique: "
                    "keep one copy of each recording under the corpus's folder."
                )
            seen[utterance.id] = utterance
            if utterance.emotion not in self.labels:
                raise CorpusError(
                    f"Utterance '{utterance.id}' has the emotion '{utterance.emotion}'. "
                    f"Allowed in corpus '{self.name}': {', '.join(self.labels)}"
                )

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers that are known, sorted; empty where the corpus names none."""
        return tuple(sorted({u.speaker for u in self.utterances if u.speaker is not None}))

    def select(self, ids: Sequence[str]) -> tuple[Utterance, ...]:
        """The utterances with these ids, in the order of `ids`.

        Raises:
            CorpusError: if an id is not in the corpus; the message counts and names them.
        """
        by_id = {utterance.id: utterance for utterance in self.utterances}
        missing = [id_ for id_ in ids if id_ not in by_id]
        if missing:
            raise CorpusError(
                f"Corpus '{self.name}' lacks {len(missing)} of {len(ids)} utterances that were asked for, "
                f"e.g. {', '.join(missing[:3])}. Check it with: emocatcher check {self.name}"
            )
        return tuple(by_id[id_] for id_ in ids)
