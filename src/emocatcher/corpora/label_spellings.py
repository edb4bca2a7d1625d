"""Join the spellings of each label of some utterances, and put the labels in order."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation import labels
from emocatcher.foundation.dimensions import Dimension

_SHOWN = 8


def corpus(
    name: str, utterances: Sequence[Utterance], notes: Sequence[str], dimensions: tuple[Dimension, ...] = ()
) -> Corpus:
    """Return the corpus of a table or a folder, with one spelling for each label, and a note on what was joined."""
    joined, more = join(utterances)
    present = {utterance.emotion for utterance in joined}
    return Corpus(
        name=name,
        utterances=tuple(joined),
        labels=labels.ordered(present),
        notes=(*notes, *more),
        dimensions=dimensions,
    )


def join(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[str]]:
    """Give each label one spelling (see `labels.one_spelling`).

    Returns:
        the utterances, and a note on what was joined into what; no note if there was nothing to join.
    """
    counts = Counter(utterance.emotion for utterance in utterances)
    chosen = labels.one_spelling(counts)
    changed: dict[str, list[str]] = defaultdict(list)
    for spelling, label in chosen.items():
        if spelling != label:
            changed[label].append(_described(spelling, label, counts[spelling]))
    joined = [msgspec.structs.replace(one, emotion=chosen[one.emotion]) for one in utterances]
    if not changed:
        return joined, []
    found = [f"{', '.join(spellings)} into '{label}'" for label, spellings in sorted(changed.items())]
    more = f"; and {len(found) - _SHOWN} more labels" if len(found) > _SHOWN else ""
    return joined, [f"spellings of one label are joined: {'; '.join(found[:_SHOWN])}{more}"]


def _described(spelling: str, label: str, n: int) -> str:
    looks_alike = unicodedata.normalize("NFC", spelling) == unicodedata.normalize("NFC", label)
    in_form = " in another Unicode form" if looks_alike else ""
    return f"'{spelling}'{in_form} ({n} row{'' if n == 1 else 's'})"
