"""Folds for validation, cut out of a training part after the test part was thrown away."""

from __future__ import annotations

import msgspec

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Fold, Protocol
from emocatcher.foundation.errors import ProtocolError


class InnerFold(msgspec.Struct, frozen=True):
    """What one trial learns from, and what it is then asked: all of it from one fold's training part."""

    fold: int  # whose training part this is
    split: int
    train: tuple[str, ...]  # utterance ids, like the next
    valid: tuple[str, ...]

    @property
    def parts(self) -> Fold:
        """The same as a fold without a test part."""
        return Fold(train=self.train, valid=self.valid, test=())


def cut(corpus: Corpus, protocol: Protocol, folds: tuple[int, ...], n_inner: int) -> tuple[InnerFold, ...]:
    """Cut the training parts of some folds into folds for validation.

    What any of these folds tests is left out of all of them: in a cross-validation, one fold's test part is another's
    training. Where the protocol separates speakers, so do the inner folds; else they are stratified by emotion. A fold
    that brings a validation part of its own is validated on that, once. Nothing depends on the settings or the seeds
    that are swept, so that all settings answer the same.

    Args:
        corpus: where the utterances are.
        protocol: it fits the corpus.
        folds: their numbers.
        n_inner: how many inner folds each training part is cut into.

    Raises:
        ProtocolError: if there is no such fold, or a training part cannot be cut so.
    """
    n_folds = len(protocol.folds)
    for number in folds:
        if number >= n_folds:
            raise ProtocolError(f"Protocol '{protocol.name}' has no fold {number}. It has 0 to {n_folds - 1}")
    tested = {id_ for number in folds for id_ in protocol.folds[number].test}
    found: list[InnerFold] = []
    for number in folds:
        one = protocol.folds[number]
        train, valid = (tuple(id_ for id_ in ids if id_ not in tested) for ids in (one.train, one.valid))
        if not train:
            raise ProtocolError(
                f"Every utterance of corpus '{corpus.name}' is tested by one of the folds {_listed(folds)} of "
                f"'{protocol.name}', and what is tested is not for choosing. Name fewer folds"
            )
        if valid:
            found.append(InnerFold(number, 0, train, valid))
            continue
        rest = msgspec.structs.replace(corpus, utterances=corpus.select(train))
        kind = "speakers" if protocol.separates_speakers else "stratified"
        try:
            inner = protocols.load(f"{kind}-{n_inner}", rest, seed=number)
        except ProtocolError as error:
            raise ProtocolError(f"The training part of fold {number} cannot be cut for validation: {error}") from None
        # What an inner fold calls its test part is a piece of the outer one's training part.
        found += [InnerFold(number, split, each.train, each.test) for split, each in enumerate(inner.folds)]
    return tuple(found)


def corpus_of(inner: tuple[InnerFold, ...], corpus: Corpus) -> Corpus:
    """The utterances that the trials need, and no other: no one else's recording is even read."""
    needed = {id_ for one in inner for id_ in (*one.train, *one.valid)}
    return msgspec.structs.replace(corpus, utterances=tuple(each for each in corpus if each.id in needed))


def _listed(folds: tuple[int, ...]) -> str:
    return ", ".join(map(str, folds))
