"""Which of many fingerprints are of the same recording: looked up by their words, then compared bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.audit.fingerprint import Fingerprint, Likeness, Words, compare

_LEAST_VOTES = 3  # words that two recordings have in common at about one shift
_MOST_PARTNERS = 64  # of one word: hums and tones repeat theirs without end, and are found by others of their words
_NEAR = 2  # frames: a recording's shift is seldom a whole number of them


class Match(NamedTuple):
    """Two fingerprints of one recording: their positions, and how alike they are."""

    first: int
    second: int
    likeness: Likeness


def match(fingerprints: Sequence[Fingerprint]) -> list[Match]:
    """Find all pairs of fingerprints that are of the same recording.

    An index of all words gives the candidates (Haitsma & Kalker 2002, section 5.2): pairs with several words in common
    at about the same shift, where the three least certain bits of each word may stand either way.

    Args:
        fingerprints: of any number of recordings; those with too little sound match nothing.

    Returns:
        the pairs, `first` below `second`, in order.
    """
    matches = []
    for first, second, shift in _candidates(fingerprints):
        near = range(shift - _NEAR, shift + _NEAR + 1)
        likeness = compare(fingerprints[first], fingerprints[second], near)
        if likeness is not None and likeness.same:
            matches.append(Match(first, second, likeness))
    return matches


def _candidates(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, int]]:
    """Pairs that are worth a comparison, once each, with the shift that most of their common words name."""
    parts = [(i, fp, np.flatnonzero(fp.weakest)) for i, fp in enumerate(fingerprints) if fp.tells]
    if len(parts) < 2:
        return
    words = np.concatenate([fp.words[loud] for _, fp, loud in parts])
    weakest = np.concatenate([fp.weakest[loud] for _, fp, loud in parts])
    owner = np.concatenate([np.full(len(loud), i, np.int64) for i, _, loud in parts])
    frame = np.concatenate([loud for _, _, loud in parts])
    order = np.argsort(words, kind="stable")
    words, weakest, owner, frame = words[order], weakest[order], owner[order], frame[order]

    votes = [
        _votes(owner[asked], frame[asked], owner[found], frame[found])
        for flipped in _flips(weakest)
        for asked, found in _lookups(words, words ^ flipped)
    ]
    yield from _elected(np.concatenate(votes))


def _flips(weakest: Words) -> Iterator[Words]:
    """All eight ways to take some of the three marked bits of each word."""
    lowest = weakest & -weakest
    highest = weakest & (weakest - lowest)
    middle = highest & -highest
    highest ^= middle
    for choice in range(8):
        yield lowest * np.uint32(choice & 1) | middle * np.uint32(choice >> 1 & 1) | highest * np.uint32(choice >> 2)


def _lookups(words: Words, wanted: Words) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Positions (asked, found) where `wanted[asked]` is `words[found]`; `words` is sorted."""
    order = np.argsort(wanted, kind="stable")  # neighbours are then looked up where the last one was found
    left = np.searchsorted(words, wanted[order], side="left")
    right = np.searchsorted(words, wanted[order], side="right")
    counts = np.minimum(right - left, _MOST_PARTNERS)
    asked = np.repeat(order, counts)
    within = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts, counts)
    yield asked, np.repeat(left, counts) + within


def _votes(
    first: NDArray[np.int64], first_frame: NDArray[np.int64], second: NDArray[np.int64], second_frame: NDArray[np.int64]
) -> NDArray[np.int64]:
    """One row (lower owner, higher owner, shift) for each word that two owners have in common."""
    others = first != second
    first, second, shift = first[others], second[others], (first_frame - second_frame)[others]
    turned = first > second
    return np.stack([np.minimum(first, second), np.maximum(first, second), np.where(turned, -shift, shift)], axis=1)


def _elected(votes: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Each pair's most frequent shift, where enough votes are for it or for the one beside it."""
    rows, counts = np.unique(votes, axis=0, return_counts=True)
    if not len(rows):
        return
    beside = (np.diff(rows[:, :2], axis=0) == 0).all(axis=1) & (np.diff(rows[:, 2]) == 1)
    support = counts.copy()
    support[1:] += np.where(beside, counts[:-1], 0)
    support[:-1] += np.where(beside, counts[1:], 0)
    enough = support >= _LEAST_VOTES
    rows, support = rows[enough], support[enough]
    order = np.lexsort((rows[:, 2], -support, rows[:, 1], rows[:, 0]))
    rows = rows[order]
    first_of_pair = np.r_[True, (np.diff(rows[:, :2], axis=0) != 0).any(axis=1)] if len(rows) else []
    yield from map(tuple, rows[first_of_pair].tolist())
