"""Express a protocol as columns of a table of utterances, for programs that do not know protocols."""

from __future__ import annotations

from collections import Counter

from emocatcher.evaluation.protocols.protocol import Protocol

Columns = dict[str, dict[str, str | int | None]]  # column → id of an utterance → value


def columns(protocol: Protocol) -> Columns:
    """Return the columns of a protocol.

    Returns:
        one fold: `split` (train, valid or test). Folds that each utterance is tested in once, and trains all others:
        `fold`, the number of that fold. Other folds: `fold_0`, `fold_1` and so on, each like `split`.

    Examples:
        >>> from emocatcher.evaluation.protocols.protocol import Fold
        >>> folds = (Fold(("b",), (), ("a",)), Fold(("a",), (), ("b",)))
        >>> made = Protocol(name="", title="", corpus=None, separates_speakers=False, folds=folds, command="",
        ...                 cannot_claim="")
        >>> columns(made)
        {'fold': {'a': 0, 'b': 1}}
    """
    by_fold: list[dict[str, str | int | None]] = [
        {id_: part for part in ("train", "valid", "test") for id_ in getattr(fold, part)} for fold in protocol.folds
    ]
    if len(by_fold) == 1:
        return {"split": by_fold[0]}
    tested = Counter(id_ for fold in protocol.folds for id_ in fold.test)
    everyone = {id_ for parts in by_fold for id_ in parts}
    once = set(tested.values()) == {1} and tested.keys() == everyone
    if once and all(parts.keys() == everyone and "valid" not in parts.values() for parts in by_fold):
        return {"fold": {id_: number for number, fold in enumerate(protocol.folds) for id_ in fold.test}}
    return {f"fold_{number}": parts for number, parts in enumerate(by_fold)}
