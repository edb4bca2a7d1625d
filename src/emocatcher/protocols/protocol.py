"""What a protocol is: a named list of folds, and the audit that it does not leak."""

from __future__ import annotations

import msgspec

from emocatcher.corpora.table import Corpus
from emocatcher.errors import ProtocolError

SHARED_CLAIM = "Speakers of the test part are heard in training too, so it says nothing about speakers not heard before"
SAME_WORDS_CLAIM = "The sentences of the test part are heard in training too, so it says nothing about other words"


class Fold(msgspec.Struct, frozen=True):
    """The utterance ids of one fold's parts; `valid` may be empty, the others not."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of folds, and what a result from it is worth."""

    name: str
    title: str
    corpus: str | None  # the corpus it was made for; None: made from whatever corpus was given
    separates_speakers: bool  # it promises that no speaker of a test part is heard before
    folds: tuple[Fold, ...]
    command: str  # what made it
    cannot_claim: str  # one sentence; empty where there is nothing to hold back
    source: str = ""  # where the split was published
    separates_statements: bool = False  # no sentence of a test part is heard before
    selection: str = ""  # how those who published it chose the epoch or the setting that they scored
    published: str = ""  # what stands there for it, and whose it is


def speakers_shared(fold: Fold, corpus: Corpus) -> bool:
    """Whether a speaker of the test part is heard in training or validation too.

    Computed from the corpus, not from what a protocol promises. An unknown speaker could be any of the
    others, and so counts as shared.

    Raises:
        CorpusError: if the corpus lacks an utterance of the fold.
    """
    heard = {utterance.speaker for utterance in corpus.select(fold.train + fold.valid)}
    tested = {utterance.speaker for utterance in corpus.select(fold.test)}
    return None in heard | tested or not heard.isdisjoint(tested)


def check(protocol: Protocol, corpus: Corpus) -> None:
    """Refuse a protocol that does not fit the corpus, cannot be trained on, or breaks its own promise.

    Raises:
        ProtocolError: if there is no fold, an id is missing from the corpus or stands twice in one fold, a
            part is empty, an emotion is tested but never trained on, or speakers are shared in spite of the promise.
    """
    if not protocol.folds:
        raise ProtocolError(f"Protocol '{protocol.name}' has no fold. At least one is needed.")
    emotions = {utterance.id: utterance.emotion for utterance in corpus}
    for number, fold in enumerate(protocol.folds):
        where = f"Fold {number} of protocol '{protocol.name}'"
        ids = fold.train + fold.valid + fold.test
        missing = [id_ for id_ in ids if id_ not in emotions]
        if missing:
            raise ProtocolError(
                f"Protocol '{protocol.name}' needs {len(missing)} utterances that corpus '{corpus.name}' lacks, e.g. "
                f"{', '.join(missing[:3])}. Complete the corpus ({protocol.corpus or 'the one it was made from'}), "
                "or use speakers-K or stratified-K, which are made for any corpus."
            )
        if len(set(ids)) < len(ids):
            twice = next(id_ for i, id_ in enumerate(ids) if id_ in ids[:i])
            raise ProtocolError(f"{where} holds '{twice}' twice. An utterance may stand in one part only, once.")
        for part in ("train", "test"):
            if not getattr(fold, part):
                raise ProtocolError(f"{where} has an empty {part} part. Each needs at least one utterance.")
        untrained = sorted({emotions[id_] for id_ in fold.test} - {emotions[id_] for id_ in fold.train})
        if untrained:
            raise ProtocolError(
                f"{where} tests '{untrained[0]}', which no utterance of its training part has. "
                "Add recordings of it by other speakers, leave it out, or use fewer folds."
            )
        if protocol.separates_speakers and speakers_shared(fold, corpus):
            raise ProtocolError(f"{where} promises to separate speakers, but tests a speaker that it trains on.")
