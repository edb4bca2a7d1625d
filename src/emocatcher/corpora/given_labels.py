"""Give the utterances of a table or a folder their labels: one spelling for each, the majority of votes, or none."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation import labels
from emocatcher.foundation.dimensions import Dimension

_SHOWN = 8


def corpus(
    name: str, utterances: Sequence[Utterance], notes: Sequence[str], dimensions: tuple[Dimension, ...] = ()
) -> Corpus:
    """Return the corpus of a table or a folder, whose utterances have labels, votes or neither.

    Each label gets one spelling; an utterance that has votes alone gets the label with most of them; one that has
    neither is held apart. The labels of the corpus are those of its utterances, and votes for others are left out.
    The notes of the corpus count all this.
    """
    joined, spelt = join(utterances)
    named, counted = votes.name_by_majority(joined)
    labelled = [one for one in named if one.emotion]
    order = labels.ordered(one.emotion for one in labelled)
    kept, left_out = votes.within(labelled, order)
    unlabelled = tuple(one for one in named if not one.emotion)
    n_rated = sum(bool(one.dimensions) for one in unlabelled)
    unused = [f"the ratings of recordings without a label are not used: {n_rated}"] if n_rated else []
    return Corpus(
        name=name,
        utterances=tuple(kept),
        labels=order,
        unlabelled=unlabelled,
        notes=(*notes, *spelt, *counted, *left_out, *without(len(unlabelled)), *unused),
        dimensions=dimensions,
    )


def join(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[str]]:
    """Give each label one spelling (see `labels.one_spelling`), also among votes.

    Returns:
        the utterances, and a note on what was joined into what; no note if there was nothing to join.
    """
    counts = Counter(label for one in utterances for label in {one.emotion, *(label for label, _ in one.votes or ())})
    del counts[""]
    chosen = labels.one_spelling(counts) | {"": ""}
    changed: dict[str, list[str]] = defaultdict(list)
    for spelling, label in chosen.items():
        if spelling != label:
            changed[label].append(_described(spelling, label, counts[spelling]))
    if not changed:
        return list(utterances), []
    joined = [
        msgspec.structs.replace(
            one,
            emotion=chosen[one.emotion],
            votes=None if one.votes is None else votes.merged((chosen[label], share) for label, share in one.votes),
        )
        for one in utterances
    ]
    found = [f"{', '.join(spellings)} into '{label}'" for label, spellings in sorted(changed.items())]
    more = f"; and {len(found) - _SHOWN} more labels" if len(found) > _SHOWN else ""
    return joined, [f"spellings of one label are joined: {'; '.join(found[:_SHOWN])}{more}"]


def without(n: int) -> list[str]:
    """Return a note on so many recordings without a label; none if there are none."""
    have = votes.recordings(n, "has", "have")
    return [f"{have} no label: not trained on or scored, except that `adapt` also uses such recordings"] if n else []


def _described(spelling: str, label: str, n: int) -> str:
    looks_alike = unicodedata.normalize("NFC", spelling) == unicodedata.normalize("NFC", label)
    in_form = " in another Unicode form" if looks_alike else ""
    return f"'{spelling}'{in_form} ({votes.recordings(n)})"
