"""Load protocols: named lists of folds, shipped as files or made on the fly, with the limits of their scores."""

from __future__ import annotations

import re

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.protocols import across_corpora, committed, splits
from emocatcher.evaluation.protocols.protocol import Fold, Protocol, check, speakers_shared
from emocatcher.evaluation.protocols.validation import carve_validation
from emocatcher.foundation.errors import ProtocolError, suggest

__all__ = ["Fold", "Protocol", "carve_validation", "check", "load", "names", "speakers_shared", "whole"]


def names() -> tuple[str, ...]:
    """Return the names of all protocols; K stands for a number of folds.

    Examples:
        >>> names()[:3], names()[-3:]
        (('reference-holdout', 'reference-cv5', 'kfold-10'), ('speakers-K', 'stratified-K', 'manifest'))
    """
    return (*committed.COMMITTED, *across_corpora.NAMES, "speakers-K", "stratified-K", "manifest")


def whole(corpus: Corpus) -> Protocol:
    """Return the protocol that tests on all utterances of a corpus, for a model that was trained on others."""
    return Protocol(
        name="all",
        title="all utterances",
        corpus=None,
        separates_speakers=False,
        folds=(Fold(train=(), valid=(), test=tuple(utterance.id for utterance in corpus)),),
        command="",
        cannot_claim="",
    )


def load(name: str, corpus: Corpus, seed: int = 0) -> Protocol:
    """Read or make a protocol for a corpus, and check that it fits.

    Args:
        name: one of `names()`, with a number for K, e.g. "speakers-5".
        corpus: the corpus to split; protocols made on the fly do not depend on the order of its rows.
        seed: seed of protocols made on the fly, 0 to 2**32 - 1; committed protocols and `manifest` do not use it.

    Raises:
        ProtocolError: if the name is unknown, or the protocol cannot be made for this corpus.
        MissingExtraError: if the protocol is made on the fly and scikit-learn is not installed.
    """
    made = re.fullmatch(r"(speakers|stratified)-([0-9]{1,6})", name)
    if made and not 0 <= seed < 2**32:
        raise ProtocolError(f"The seed of protocol '{name}' is {seed}. Allowed: 0 to {2**32 - 1}.")
    if name in committed.COMMITTED:
        protocol = committed.read(name)
        if across_corpora.is_joined(corpus):
            raise ProtocolError(
                f"Protocol '{name}' is made for {protocol.corpus} alone, and '{corpus.name}' is joined from several "
                f"corpora. Use {', '.join(across_corpora.NAMES[:2])}, speakers-K or stratified-K"
            )
    elif name in across_corpora.NAMES:
        protocol = across_corpora.make(name, corpus)
    elif made:
        split = splits.speakers if made[1] == "speakers" else splits.stratified
        protocol = split(corpus, int(made[2]), seed)
    elif name == "manifest":
        protocol = splits.manifest(corpus)
    else:
        raise ProtocolError(f"{suggest(name, names(), 'protocol')} (K: the number of folds, e.g. speakers-5)")
    check(protocol, corpus)
    return protocol
