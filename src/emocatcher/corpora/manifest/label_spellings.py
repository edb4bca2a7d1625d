"""Put the labels of the user's own recordings in order, and note those that differ only in their spelling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.labels import EMOTIONS


def corpus(name: str, utterances: Sequence[Utterance], notes: Sequence[str]) -> Corpus:
    """Return the corpus; its labels are the known emotions in their canonical order, followed by the others, sorted."""
    present = {utterance.emotion for utterance in utterances}
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in sorted(present):
        spellings[label.casefold().strip()].append(label)
    alike = [
        f"labels that differ only in case are kept apart: {', '.join(s)}" for s in spellings.values() if len(s) > 1
    ]
    labels = (*(e for e in EMOTIONS if e in present), *sorted(present.difference(EMOTIONS)))
    return Corpus(name=name, utterances=tuple(utterances), labels=labels, notes=(*notes, *alike))
