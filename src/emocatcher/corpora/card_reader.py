"""Read a corpus as its card describes it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from emocatcher.audio import folder_search
from emocatcher.corpora import card_tables
from emocatcher.corpora.cards import CorpusCard, look_up
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError

_OPTIONAL_FIELDS = ("speaker", "gender", "race", "ethnicity", "intensity", "statement", "repetition", "split")
_SHOWN = 3


def read(card: CorpusCard, root: Path) -> Corpus:
    """Read the recordings of a folder, anywhere in it, with any suffix of sound.

    Returns:
        the corpus, sorted by speaker and id; its labels are the emotions that occur, in their canonical order. Its
        notes count all recordings and rows that are left out, each with the reason.

    Raises:
        CorpusError: if the folder contains no such recording, a table is missing or cannot be used, or two recordings
            have the same id.
    """
    found = folder_search.search(root)
    reading = _Reading(card, root)
    utterances = [utterance for path in found.recordings if (utterance := reading.utterance(Path(path))) is not None]
    if not reading.n_matched:
        raise CorpusError(
            f"{root} contains no recording with a name of {card.title}. Names end like this (a regular expression): "
            f"{card.pattern}. Get the corpus from {card.address}"
        )
    utterances.sort(key=lambda utterance: (utterance.speaker or "", utterance.id, utterance.path))
    present = {utterance.emotion for utterance in utterances}
    return Corpus(
        name=card.name,
        utterances=tuple(utterances),
        labels=tuple(emotion for emotion in card.emotions if emotion in present),
        licence=card.licence,
        notes=(
            *reading.notes(),
            *folder_search.left_out(found.closed, "folder cannot be opened", "folders cannot be opened"),
        ),
    )


class _Reading:
    """The recordings of one folder, and what is left out of them."""

    def __init__(self, card: CorpusCard, root: Path) -> None:
        self._card, self._root = card, root
        # The shortest prefix first, so that an optional folder at the pattern's start is part of the pattern.
        self._pattern = re.compile(f"(?:.*?/)??(?:{card.pattern})")
        read = [card_tables.read(table, root) for table in card.table]
        self._tables = [(table, rows) for table, (rows, _) in zip(card.table, read, strict=True)]
        self._n_contradicting = sum(n for _, n in read)
        self._used: list[set[str]] = [set() for _ in card.table]
        self._left_out: dict[str, list[str]] = defaultdict(list)  # reason → ids
        self._emotion_of = cache(lambda code: look_up(code, card.emotion_of))
        self.n_matched = 0

    def utterance(self, path: Path) -> Utterance | None:
        """Return the utterance of a recording; None if it is left out."""
        relative = path.relative_to(self._root).with_suffix("").as_posix()
        match = self._pattern.fullmatch(relative)
        if match is None:
            self._left_out["names that the card does not describe"].append(path.name)
            return None
        self.n_matched += 1
        data = {"stem": path.stem} | {name: text for name, text in match.groupdict().items() if text is not None}
        for (table, rows), used in zip(self._tables, self._used, strict=True):
            key = card_tables.fill(table.on, data)
            row = None if key is None else rows.get(key)
            if row is not None and key is not None:
                used.add(key)
                data = row | data
            elif not table.optional:
                self._left_out[f"no row in {table.files}"].append(path.stem)
                return None
        id_ = self._field("id", data) or path.stem
        emotion = self._emotion(id_, data)
        if emotion is None:
            return None
        fields: dict[str, Any] = {field: self._field(field, data) for field in _OPTIONAL_FIELDS}
        age = self._field("age", data) or ""
        fields["age"] = int(age) if age.isdecimal() else None
        votes = {emotion: card_tables.fill(template, data) or "" for emotion, template in self._card.listeners.items()}
        fields["listeners"] = tuple((emotion, int(n)) for emotion, n in votes.items() if n.isdecimal())
        return Utterance(id=id_, path=path, emotion=emotion, **fields)

    def _emotion(self, id_: str, data: dict[str, str]) -> str | None:
        code = self._field("emotion", data)
        reason = look_up(id_, self._card.excluded)
        if reason is None:
            emotion = None if code is None else self._emotion_of(code)
            if emotion is not None:
                return emotion
            known = look_up(code or "", self._card.left_out)
            reason = f"'{code}': {known}" if known else f"the label '{code}' is not on the card" if code else "no label"
        self._left_out[reason].append(id_)
        return None

    def _field(self, field: str, data: dict[str, str]) -> str | None:
        template = self._card.fields.get(field)
        value = data.get(field) if template is None else card_tables.fill(template, data)
        if not value or value in self._card.unset:
            return None
        return look_up(value, self._card.values[field]) if field in self._card.values else value

    def notes(self) -> Iterator[str]:
        """Yield one sentence for each reason to leave something out, and one if a part of the corpus is missing."""
        published = self._card.clips
        if published is not None and self.n_matched < published:
            yield f"{self.n_matched:,} of the {published:,} published recordings are here"
        for reason, names in self._left_out.items():
            shown = ", ".join(sorted(names)[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
            what = "recording is" if len(names) == 1 else "recordings are"
            yield f"{len(names):,} {what} left out ({reason}): {shown}"
        for (table, rows), used in zip(self._tables, self._used, strict=True):
            if table.on == "{stem}" and (unused := len(rows) - len(used)):
                yield f"{unused:,} row{'s have' if unused > 1 else ' has'} no recording: {table.files}"
        if n := self._n_contradicting:
            yield f"{n:,} row{'s contradict' if n > 1 else ' contradicts'} an earlier row of the same recording"
