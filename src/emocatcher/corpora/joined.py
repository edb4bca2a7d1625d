"""Join several corpora into one, with ids and speakers that name the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from emocatcher.corpora import given_labels
from emocatcher.corpora.table import Corpus, Utterance, ratings
from emocatcher.foundation import dimensions, labels
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import CorpusError


def join(corpora: Sequence[Corpus], same_speakers_as: Mapping[str, str]) -> Corpus:
    """Join corpora.

    Args:
        corpora: two or more, with different names.
        same_speakers_as: name of a corpus → name of the corpus whose speakers it shares.

    Returns:
        a corpus of all utterances, also those without a label, with the ids NAME/ID and the speakers NAME:SPEAKER;
        speakers whom two corpora share have one name. Each label has one spelling (see `given_labels`).

    Raises:
        CorpusError: if two corpora have the same name.
    """
    names = [corpus.name for corpus in corpora]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise CorpusError(
            f"Two of the corpora are named '{twice[0]}'. Name each corpus once; rename a table or a folder."
        )
    ranges: dict[str, Dimension] = {}
    for one in (one for corpus in corpora for one in corpus.dimensions):
        ranges.setdefault(one.name, one)

    def renamed(corpus: Corpus, utterances: Sequence[Utterance]) -> list[Utterance]:
        people = same_speakers_as.get(corpus.name) or corpus.name
        return [_renamed(_rescaled(utterance, corpus, ranges), corpus.name, people) for utterance in utterances]

    converted = [
        f"{corpus.name}: {one.name} is converted from {one.low:g} … {one.high:g} to {ranges[one.name].low:g} … "
        f"{ranges[one.name].high:g}"
        for corpus in corpora
        for one in corpus.dimensions
        if one != ranges[one.name]
    ]
    labelled = [one for corpus in corpora for one in renamed(corpus, corpus.utterances)]
    utterances, spelt = given_labels.join(labelled)
    return Corpus(
        name="+".join(names),
        utterances=tuple(utterances),
        unlabelled=tuple(one for corpus in corpora for one in renamed(corpus, corpus.unlabelled)),
        labels=labels.ordered(utterance.emotion for utterance in utterances),
        licence="; ".join(f"{corpus.name}: {corpus.licence}" for corpus in corpora),
        synthetic=any(corpus.synthetic for corpus in corpora),
        notes=(*(f"{corpus.name}: {note}" for corpus in corpora for note in corpus.notes), *spelt, *converted),
        dimensions=tuple(ranges[name] for name in dimensions.NAMES if name in ranges),
    )


def names(name: str) -> tuple[str, ...]:
    """Return the names of the corpora that a corpus is joined from, given its name; its own if it is not joined.

    Examples:
        >>> names("tess+nemo"), names("tess")
        (('tess', 'nemo'), ('tess',))
    """
    return tuple(name.split("+"))


def _renamed(utterance: Utterance, name: str, people: str) -> Utterance:
    return msgspec.structs.replace(
        utterance,
        id=f"{name}/{utterance.id}",
        corpus=name,
        speaker=None if utterance.speaker is None else f"{people}:{utterance.speaker}",
    )


def _rescaled(utterance: Utterance, corpus: Corpus, ranges: Mapping[str, Dimension]) -> Utterance:
    """Convert the ratings of an utterance to other ranges."""
    own = [one for one in corpus.dimensions if one.name in dict(utterance.dimensions)]
    wanted = [ranges[one.name] for one in own]
    if own == wanted:
        return utterance
    values = dimensions.unscaled(dimensions.scaled(ratings([utterance], own), own), wanted)[0].tolist()
    found = tuple((one.name, value) for one, value in zip(own, values, strict=True))
    return msgspec.structs.replace(utterance, dimensions=found)
