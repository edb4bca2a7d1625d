"""Compare a listener's labels with the model's guesses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from emocatcher.foundation.labels import canonical


class Agreement(msgspec.Struct):
    """How far a listener and the model agree, on the clips that were labelled before the guess was shown."""

    n: int  # clips with a label that the model knows, and a guess
    n_same: int
    share: float | None  # None without such clips, or if the model knows none of the labels
    kappa: float | None  # Cohen's; also None if both always chose one and the same label
    labels: list[str]  # the listener's, in order
    guesses: list[str]  # the model's, in order
    counts: list[list[int]]  # clips by label and guess
    same: list[int | None]  # for each label, the position of the guess that is the same emotion
    n_other: int  # clips with a label that the model does not know


def compare(pairs: Sequence[tuple[str, str]], labels: Sequence[str], model_labels: Sequence[str]) -> Agreement:
    """Compare labels with guesses; spellings of the same emotion count as one.

    Cohen's kappa is (p - e) / (1 - e), with p the share of equal answers, and e the share expected if both answered
    independently with the frequencies that they have (Cohen 1960).

    Args:
        pairs: (label, guess) of each clip.
        labels: the listener's labels, for their order.
        model_labels: those that the model can answer with, for their order.

    Examples:
        >>> found = compare([("happy", "happy"), ("anger", "angry"), ("sad", "angry")], [], ["happy", "sad", "angry"])
        >>> found.n, found.n_same, round(found.kappa, 2)
        (3, 2, 0.5)
    """
    known = {_one(label) for label in model_labels}
    shared = [(_one(label), _one(guess)) for label, guess in pairs if _one(label) in known]
    n, n_same = len(shared), sum(label == guess for label, guess in shared)
    kappa = None
    if n:
        theirs, ours = (Counter(answers) for answers in zip(*shared, strict=True))
        by_chance = sum(theirs[label] * ours[label] for label in theirs) / n**2
        kappa = (n_same / n - by_chance) / (1 - by_chance) if by_chance < 1 else None
    rows = _in_order([label for label, _ in pairs], labels)
    guesses = _in_order([guess for _, guess in pairs], model_labels)
    counts = Counter(pairs)
    return Agreement(
        n=n,
        n_same=n_same,
        share=n_same / n if n else None,
        kappa=kappa,
        labels=rows,
        guesses=guesses,
        counts=[[counts[label, guess] for guess in guesses] for label in rows],
        same=[next((j for j, guess in enumerate(guesses) if _one(guess) == _one(label)), None) for label in rows],
        n_other=len(pairs) - n,
    )


def _one(label: str) -> str:
    return canonical(label) or label.strip().casefold()


def _in_order(used: Sequence[str], order: Sequence[str]) -> list[str]:
    return [*(label for label in order if label in set(used)), *sorted(set(used).difference(order))]
