"""Join several corpora into one, with ids and speakers that name the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from emocatcher.corpora import label_spellings
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation import labels
from emocatcher.foundation.errors import CorpusError


def join(corpora: Sequence[Corpus], same_speakers_as: Mapping[str, str]) -> Corpus:
    """Join corpora.

    Args:
        corpora: two or more, with different names.
        same_speakers_as: name of a corpus → name of the corpus whose speakers it shares.

    Returns:
        a corpus of all utterances, with the ids NAME/ID and the speakers NAME:SPEAKER; speakers whom two corpora share
        have one name. Each label has one spelling (see `label_spellings`).

    Raises:
        CorpusError: if two corpora have the same name.
    """
    names = [corpus.name for corpus in corpora]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise CorpusError(
            f"Two of the corpora are named '{twice[0]}'. Name each corpus once; rename a table or a folder."
        )
    renamed = [
        _renamed(utterance, corpus.name, same_speakers_as.get(corpus.name) or corpus.name)
        for corpus in corpora
        for utterance in corpus
    ]
    utterances, spelt = label_spellings.join(renamed)
    return Corpus(
        name="+".join(names),
        utterances=tuple(utterances),
        labels=labels.ordered(utterance.emotion for utterance in utterances),
        licence="; ".join(f"{corpus.name}: {corpus.licence}" for corpus in corpora),
        synthetic=any(corpus.synthetic for corpus in corpora),
        notes=(*(f"{corpus.name}: {note}" for corpus in corpora for note in corpus.notes), *spelt),
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
