"""Find fingerprints of the same recording: look up candidates by their 32-bit words, then compare them bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation.audit.fingerprint import Fingerprint, Similarity, Words, compare

_MIN_VOTES = 3  # words that two recordings must have in common at about one shift
_MAX_PARTNERS = 64  # per word: hums and tones repeat some words endlessly, but can be found by their other words
_SHIFT_TOLERANCE = 2  # frames: a recording's shift is rarely a whole number of frames


class Match(NamedTuple):
    """Two fingerprints of one recording: their positions and their similarity."""

    first: int
    second: int
    similarity: Similarity


def match(fingerprints: Sequence[Fingerprint]) -> list[Match]:
    """Find all pairs of fingerprints of the same recording.

    An index of all words gives the candidates (Haitsma & Kalker 2002, section 5.2): pairs with several words in common
    at about the same shift, where the three least certain bits of each word may differ.

    Args:
        fingerprints: of any number of recordings; fingerprints with too little sound match nothing.

    Returns:
        the pairs in order, `first` less than `second`.
    """
    matches = []
    for first, second, shift in _candidates(fingerprints):
        near = range(shift - _SHIFT_TOLERANCE, shift + _SHIFT_TOLERANCE + 1)
        similarity = compare(fingerprints[first], fingerprints[second], near)
        if similarity is not None and similarity.is_same:
            matches.append(Match(first, second, similarity))
    return matches


def _candidates(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, int]]:
    """Yield each candidate pair once, with the shift that most of its common words have."""
    parts = [(i, fp, np.flatnonzero(fp.weakest)) for i, fp in enumerate(fingerprints) if fp.is_usable]
    if len(parts) < 2:
        return
    words = np.concatenate([fp.words[loud] for _, fp, loud in parts])
    weakest = np.concatenate([fp.weakest[loud] for _, fp, loud in parts])
    owner = np.concatenate([np.full(len(loud), i, np.int64) for i, _, loud in parts])
    frame = np.concatenate([loud for _, _, loud in parts])
    order = np.argsort(words, kind="stable")
    words, weakest, owner, frame = words[order], weakest[order], owner[order], frame[order]

    votes = [
        _votes(owner[query], frame[query], owner[found], frame[found])
        for flipped in _flips(weakest)
        for query, found in _lookups(words, words ^ flipped)
    ]
    yield from _best_shifts(np.concatenate(votes))


def _flips(weakest: Words) -> Iterator[Words]:
    """Yield all eight subsets of the three marked bits of each word."""
    lowest = weakest & -weakest
    highest = weakest & (weakest - lowest)
    middle = highest & -highest
    highest ^= middle
    for choice in range(8):
        yield lowest * np.uint32(choice & 1) | middle * np.uint32(choice >> 1 & 1) | highest * np.uint32(choice >> 2)


def _lookups(words: Words, queries: Words) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield positions (query, found) where `queries[query]` equals `words[found]`; `words` is sorted."""
    order = np.argsort(queries, kind="stable")  # sorted queries search neighbouring memory
    left = np.searchsorted(words, queries[order], side="left")
    right = np.searchsorted(words, queries[order], side="right")
    counts = np.minimum(right - left, _MAX_PARTNERS)
    query = np.repeat(order, counts)
    within = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    yield query, np.repeat(left, counts) + within


def _votes(
    first: NDArray[np.int64], first_frame: NDArray[np.int64], second: NDArray[np.int64], second_frame: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a row (lower owner, higher owner, shift) for each word that two owners have in common."""
    others = first != second
    first, second, shift = first[others], second[others], (first_frame - second_frame)[others]
    swapped = first > second
    return np.stack([np.minimum(first, second), np.maximum(first, second), np.where(swapped, -shift, shift)], axis=1)


def _best_shifts(votes: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield each pair's most frequent shift, if it and its adjacent shifts have enough votes."""
    rows, counts = np.unique(votes, axis=0, return_counts=True)
    if not len(rows):
        return
    adjacent = (np.diff(rows[:, :2], axis=0) == 0).all(axis=1) & (np.diff(rows[:, 2]) == 1)
    support = counts.copy()
    support[1:] += np.where(adjacent, counts[:-1], 0)
    support[:-1] += np.where(adjacent, counts[1:], 0)
    enough = support >= _MIN_VOTES
    rows, support = rows[enough], support[enough]
    order = np.lexsort((rows[:, 2], -support, rows[:, 1], rows[:, 0]))
    rows = rows[order]
    first_of_pair = np.r_[True, (np.diff(rows[:, :2], axis=0) != 0).any(axis=1)] if len(rows) else []
    yield from map(tuple, rows[first_of_pair].tolist())
