"""Define a protocol as a named list of folds, and check that it fits a corpus and does not leak speakers."""

from __future__ import annotations

import msgspec

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.scoring.run_result import Between
from emocatcher.foundation.errors import ProtocolError

SHARED_CLAIM = "The test speakers also occur in the training part, so the score does not apply to unseen speakers"
SAME_WORDS_CLAIM = "The test sentences also occur in the training part, so the score does not apply to other words"


class Fold(msgspec.Struct, frozen=True):
    """The utterance ids of one fold's parts; only `valid` may be empty."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    between: Between | None = None  # for a fold that tests on other corpora than it trains on

    def emotion(self, utterance: Utterance) -> str:
        """Return an utterance's class in this fold."""
        return self.counted_as(utterance.emotion)

    def counted_as(self, label: str) -> str:
        """Return the class of a label in this fold: itself, or neutral for calm where the fold counts it so."""
        merged = self.between is not None and self.between.calm_as_neutral and label == "calm"
        return "neutral" if merged else label


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of folds, and the limits of a score from it."""

    name: str
    title: str
    corpus: str | None  # the corpus it was made for; None: made from the given corpus
    separates_speakers: bool  # promises that no test speaker occurs in the training or validation part
    folds: tuple[Fold, ...]
    command: str  # the command that made it
    cannot_claim: str  # the limit of a score, one sentence; empty if there is none
    source: str = ""  # the publication of the split
    separates_statements: bool = False  # no test sentence occurs in the training or validation part
    selection: str = ""  # how the publication chose the epoch or the setting to score
    published: str = ""  # the published scores, with their models


def speakers_shared(fold: Fold, corpus: Corpus) -> bool:
    """Whether a speaker of the test part also occurs in the training or validation part.

    Computed from the corpus, not from what a protocol promises. An unknown speaker could be any of the
    others, and therefore counts as shared.

    Raises:
        CorpusError: if the corpus lacks an utterance of the fold.
    """
    trained = {utterance.speaker for utterance in corpus.select(fold.train + fold.valid)}
    tested = {utterance.speaker for utterance in corpus.select(fold.test)}
    return None in trained | tested or not trained.isdisjoint(tested)


def check(protocol: Protocol, corpus: Corpus) -> None:
    """Refuse a protocol that does not fit the corpus, cannot be trained on, or breaks its own promise.

    Raises:
        ProtocolError: if there is no fold, an id is missing from the corpus or occurs twice in one fold, a
            part is empty, a test emotion is missing from training, or speakers are shared despite the promise.
    """
    if not protocol.folds:
        raise ProtocolError(f"Protocol '{protocol.name}' has no fold. Give at least one.")
    by_id = {utterance.id: utterance for utterance in corpus}
    for number, fold in enumerate(protocol.folds):
        where = f"Fold {number} of protocol '{protocol.name}'"
        ids = fold.train + fold.valid + fold.test
        missing = [id_ for id_ in ids if id_ not in by_id]
        if missing:
            raise ProtocolError(
                f"Protocol '{protocol.name}' needs {len(missing)} utterances that corpus '{corpus.name}' lacks, e.g. "
                f"{', '.join(missing[:3])}. Complete the corpus ({protocol.corpus or 'the one it was made from'}), "
                "or use speakers-K or stratified-K, which are made for any corpus."
            )
        if len(set(ids)) < len(ids):
            twice = next(id_ for i, id_ in enumerate(ids) if id_ in ids[:i])
            raise ProtocolError(f"{where} contains '{twice}' twice. Put each utterance into one part only, once.")
        for part in ("train", "test"):
            if not getattr(fold, part):
                raise ProtocolError(f"{where} has an empty {part} part. Give it at least one utterance.")
        trained, tested = ({fold.emotion(by_id[id_]) for id_ in ids} for ids in (fold.train, fold.test))
        untrained = sorted(tested - trained)
        if untrained:
            raise ProtocolError(
                f"{where} tests '{untrained[0]}', which no utterance of its training part has. "
                "Add recordings of it by other speakers, leave it out, or use fewer folds."
            )
        if protocol.separates_speakers and speakers_shared(fold, corpus):
            raise ProtocolError(
                f"{where} promises to separate speakers, but a test speaker also occurs in its training or validation "
                "part. Move each speaker's utterances into one part, or set separates_speakers = false."
            )
