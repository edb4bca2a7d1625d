"""Draw the order of an epoch's utterances, with equal shares of corpora and classes if the recipe asks for it."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.training.dataset import Part


def draw(part: Part, balance: str | msgspec.UnsetType, random: np.random.Generator) -> NDArray[np.int64]:
    """Return positions of utterances in a random order; as many as the part has.

    Args:
        part: the training part.
        balance: "corpora": every corpus has the same share of the epoch; "corpora-and-classes": and within a corpus
            every class has the same share; "none" or unset: every utterance occurs once.
        random: the source of the order.

    Returns:
        shape (n_utterances,), int64. With equal shares, an utterance occurs as often as its weight says, rounded up or
        down at random (systematic sampling), so that rare ones repeat and of frequent ones each epoch has others.

    Examples:
        >>> part = Part(tuple("abcd"), np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]))
        >>> np.bincount(draw(part, "corpora", np.random.default_rng(0)))[3].item()
        2
    """
    n = len(part.ids)
    order = random.permutation(n)
    if balance not in ("corpora", "corpora-and-classes"):
        return order
    weights = shares(part, classes=balance == "corpora-and-classes")[order]
    ends = np.cumsum(weights) * n
    # The sum of rounded weights can end just below n, and would then leave out the last draw.
    drawn = order[np.minimum(np.searchsorted(ends, np.arange(n) + random.random(), side="right"), n - 1)]
    return random.permutation(drawn)


def shares(part: Part, *, classes: bool) -> NDArray[np.float64]:
    """Return each utterance's share of an epoch, shape (n_utterances,), with the sum 1."""
    corpus = np.zeros(len(part.ids), np.int64) if part.corpus is None else part.corpus
    group, n_in_group = _count(corpus)
    weights = 1.0 / n_in_group[group]
    if classes:
        cell, n_in_cell = _count(corpus * (part.true.max() + 1) + part.true)
        n_cells = np.bincount(group[np.unique(cell, return_index=True)[1]])
        weights = 1.0 / (n_in_cell[cell] * n_cells[group])
    return np.asarray(weights / weights.sum(), np.float64)


def _count(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the different values: the number of each, and how often each number occurs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return inverse, counts
