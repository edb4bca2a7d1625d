"""Votes of listeners on the label of a recording: read from a cell, counted and hashed; training uses their shares."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from emocatcher.corpora.table import Utterance, Votes
from emocatcher.foundation import labels

_JSON, _SEPARATORS = "{", re.compile("[,;]")
_EXAMPLE = "Give votes such as angry=3,sad=2: counts or probabilities, with a decimal point"


def parse(cell: str | dict[str, Any]) -> Votes:
    """Read votes from text or, as in JSONL, from an object.

    Returns:
        the labels with votes, each with its share of all.

    Raises:
        ValueError: if they cannot be used; the message is one sentence.

    Examples:
        >>> parse("angry=3, sad=1"), parse({"angry": 0.5, "sad": 0})
        ((('angry', 0.75), ('sad', 0.25)), (('angry', 1.0),))
    """
    if isinstance(cell, str) and cell.startswith(_JSON):
        cell = _decoded(cell)
    if isinstance(cell, dict):
        pairs = [(name.strip(), value) for name, value in cell.items()]
    else:
        pairs = [_pair(part.strip()) for part in _SEPARATORS.split(cell) if part.strip()]
    counts: dict[str, float] = {}
    for name, value in pairs:
        if not name:
            raise ValueError(f"a vote of {value!r} has no label. {_EXAMPLE}")
        if name in counts:
            raise ValueError(f"'{name}' occurs twice in the votes. Add its votes up")
        counts[name] = _number(name, value)
    largest = max(counts.values(), default=0.0)
    if largest == 0.0:
        raise ValueError("all votes are 0. Give one above 0, or leave the cell empty")
    scaled = {name: count / largest for name, count in counts.items()}  # a sum of huge counts would be infinite
    total = math.fsum(scaled.values())
    return tuple((name, share / total) for name, share in scaled.items() if share / total > 0.0)


def written(votes: Votes) -> str:
    """Return votes as a cell that `parse` reads: as JSON if a label has a separator in it.

    Examples:
        >>> written((("angry", 0.75), ("sad", 0.25))), written((("tired, or so", 1.0),))
        ('angry=0.75,sad=0.25', '{"tired, or so":1.0}')
    """
    if any(label.startswith(_JSON) or _SEPARATORS.search(label) for label, _ in votes):
        return msgspec.json.encode(dict(votes)).decode()
    return ",".join(f"{label}={share!r}" for label, share in votes)


def name_by_majority(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[str]]:
    """Give each utterance that has votes but no label the label with most votes; of a tie, the first in `ordered`.

    Returns:
        the utterances, and notes: how many were tied, and of how many the given label is not the one with most votes.
    """
    n_tied = n_others = 0
    named = []
    for one in utterances:
        if one.votes is not None:
            most = max(share for _, share in one.votes)
            first = labels.ordered(label for label, share in one.votes if share == most)
            n_tied += not one.emotion and len(first) > 1
            n_others += bool(one.emotion) and one.emotion not in first
            one = msgspec.structs.replace(one, emotion=one.emotion or first[0])
        named.append(one)
    notes = []
    if n_tied:
        notes.append(
            f"the votes of {recordings(n_tied, 'are', 'are')} tied; such a label is the first of them in the order of "
            "the labels"
        )
    if n_others:
        notes.append(
            f"{recordings(n_others, 'has', 'have')} a label that is not the one with most votes: the label is scored, "
            "and the votes are trained on"
        )
    return named, notes


def within(
    utterances: Sequence[Utterance], known: Collection[str], what: str = "labels that no recording has"
) -> tuple[list[Utterance], list[str]]:
    """Leave out votes for other labels than these; the shares of the rest sum to 1 again.

    Args:
        utterances: with votes or without.
        known: the labels that are kept.
        what: a description of all others, for the note.

    Returns:
        the utterances, without votes where none is left, and a note that counts what was left out.
    """
    outside: Counter[str] = Counter()
    kept = []
    for one in utterances:
        others = [label for label, _ in one.votes or () if label not in known]
        if one.votes is not None and others:
            outside.update(others)
            rest = [(label, share) for label, share in one.votes if label in known]
            total = math.fsum(share for _, share in rest)
            shares = tuple((label, share / total) for label, share in rest) or None
            one = msgspec.structs.replace(one, votes=shares)
        kept.append(one)
    if not outside:
        return kept, []
    named = ", ".join(f"'{label}' ({recordings(n)})" for label, n in sorted(outside.items()))
    return kept, [f"votes for {what} are left out: {named}"]


def merged(votes: Iterable[tuple[str, float]]) -> Votes:
    """Add up the shares of a label that occurs several times, as after its spellings were joined."""
    shares: dict[str, float] = {}
    for label, share in votes:
        shares[label] = shares.get(label, 0.0) + share
    return tuple(shares.items())


def digest(utterances: Iterable[Utterance]) -> str:
    """Return a hash of the votes of all utterances, whatever their order; "" if none has votes."""
    voted = sorted((one.id, sorted(one.votes)) for one in utterances if one.votes is not None)
    return hashlib.sha256(msgspec.json.encode(voted)).hexdigest() if voted else ""


def described(utterances: Sequence[Utterance]) -> str:
    """Return a sentence on the votes that training takes as its targets; "" without votes."""
    n = sum(one.votes is not None for one in utterances)
    return (
        f"Training took the votes of listeners on {n:,} of {len(utterances):,} recordings as its targets." if n else ""
    )


def recordings(n: int, one: str = "", several: str = "") -> str:
    """Count recordings in words, with a verb for one and for several.

    Examples:
        >>> recordings(1, "has", "have"), recordings(3, "has", "have"), recordings(2)
        ('1 recording has', '3 recordings have', '2 recordings')
    """
    return f"{n} recording{'' if n == 1 else 's'} {one if n == 1 else several}".strip()


def _decoded(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"the votes are no JSON object: {error}. {_EXAMPLE}") from None


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.rpartition("=")
    if not separator:
        raise ValueError(f"'{text}' in the votes has no number. {_EXAMPLE}")
    return name.strip(), value.strip()


def _number(name: str, value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (str, int, float)) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"the votes for '{name}' are {value!r}, not a number of 0 or more. {_EXAMPLE}")
    return number
