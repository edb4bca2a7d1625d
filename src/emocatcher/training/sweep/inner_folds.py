"""Cut training parts into inner folds for validation, after the test parts are discarded."""

from __future__ import annotations

import msgspec

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Fold, Protocol
from emocatcher.foundation.errors import ProtocolError


class InnerFold(msgspec.Struct, frozen=True):
    """The utterances of one trial, for training and for validation; all from the training part of one fold."""

    fold: int  # the fold whose training part was cut
    split: int
    train: tuple[str, ...]  # utterance ids
    valid: tuple[str, ...]  # utterance ids

    @property
    def parts(self) -> Fold:
        """The same utterances as a fold without a test part."""
        return Fold(train=self.train, valid=self.valid, test=())


def cut(corpus: Corpus, protocol: Protocol, folds: tuple[int, ...], n_inner: int) -> tuple[InnerFold, ...]:
    """Cut the training parts of some folds into inner folds for validation.

    The test utterances of these folds are left out of all inner folds, because in cross-validation the test part of one
    fold is in the training part of another. If the protocol separates speakers, so do the inner folds; otherwise they
    are stratified by emotion. A fold that has a validation part is validated on that part, once. The inner folds do not
    depend on the settings or seeds of the sweep, so all settings are validated on the same utterances.

    Args:
        corpus: the utterances.
        protocol: the folds; it fits the corpus.
        folds: the numbers of the folds.
        n_inner: number of inner folds for each training part.

    Raises:
        ProtocolError: if there is no such fold, or a training part cannot be cut into that many inner folds.
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
                f"Every utterance of corpus '{corpus.name}' is in the test part of a fold: {_listed(folds)} of "
                f"'{protocol.name}', so none is left for validation. Name fewer folds"
            )
        if valid:
            found.append(InnerFold(number, 0, train, valid))
            continue
        training_part = msgspec.structs.replace(corpus, utterances=corpus.select(train))
        kind = "speakers" if protocol.separates_speakers else "stratified"
        try:
            inner = protocols.load(f"{kind}-{n_inner}", training_part, seed=number)
        except ProtocolError as error:
            raise ProtocolError(f"The training part of fold {number} cannot be cut into inner folds: {error}") from None
        # The test part of an inner fold is a piece of the outer fold's training part.
        found += [InnerFold(number, split, each.train, each.test) for split, each in enumerate(inner.folds)]
    return tuple(found)


def corpus_of(inner: tuple[InnerFold, ...], corpus: Corpus) -> Corpus:
    """Return the corpus with only the utterances of the inner folds, so no test recording is read."""
    needed = {id_ for one in inner for id_ in (*one.train, *one.valid)}
    return msgspec.structs.replace(corpus, utterances=tuple(each for each in corpus if each.id in needed))


def _listed(folds: tuple[int, ...]) -> str:
    return ", ".join(map(str, folds))
