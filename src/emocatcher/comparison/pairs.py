"""Two rows that answered the same utterances under the same folds: which is ahead, and by how much."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np

from emocatcher.comparison.groups import speakers_shared
from emocatcher.report import Run
from emocatcher.significance import PairedDifference, paired_difference

_MINUS = "\N{MINUS SIGN}"


class Pair(msgspec.Struct, frozen=True):
    """Two rows, tested against each other."""

    first: str  # names of rows
    second: str
    n_seeds: tuple[int, int]  # that the two are averaged over
    found: PairedDifference
    verdict: str  # the same in words


class Unpaired(msgspec.Struct, frozen=True):
    """Two rows that cannot be tested against each other."""

    first: str
    second: str
    reason: str


def examine(groups: Sequence[Sequence[Run]], names: Sequence[str]) -> tuple[list[Pair], list[Unpaired]]:
    """Test every two groups against each other that share their test utterances and folds.

    Args:
        groups: runs that differ in their seed only, as `groups.group` gathers them.
        names: one per group.
    """
    paired, unpaired = [], []
    for (ours, first), (theirs, second) in itertools.combinations(zip(groups, names, strict=True), 2):
        reason = _hindrance(ours[0], theirs[0])
        members = ([], []) if reason else _comparable(ours, theirs)
        if not members[0]:
            reason = reason or "they were not tested on the same utterances under the same folds"
            unpaired.append(Unpaired(first, second, reason))
            continue
        found = _difference(*members)
        n_seeds = len(members[0]), len(members[1])
        paired.append(Pair(first, second, n_seeds, found, verdict(first, second, found, n_seeds)))
    return paired, unpaired


def verdict(first: str, second: str, found: PairedDifference, n_seeds: tuple[int, int] = (1, 1)) -> str:
    """A paired difference in a sentence; points are percentage points of accuracy."""
    ahead, behind = (first, second) if found.difference >= 0 else (second, first)
    sign = 1 if found.difference >= 0 else -1
    low, high = sorted(sign * bound * 100 for bound in found.interval)
    points = abs(found.difference) * 100
    counts = (found.n_first_ahead, found.n_second_ahead)[::sign]
    head = f"{ahead} is ahead of {behind} by {points:.1f} points" if points else f"{first} and {second} are level"
    p_value = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    apart = "told apart" if found.told_apart else "not told apart"
    seeds = "" if n_seeds == (1, 1) else "; answers averaged over seeds"
    return (
        f"{head}, {found.level:.0%} interval {_signed(low)} to {_signed(high)}: {apart} "
        f"(better on {counts[0]} utterances, worse on {counts[1]}, McNemar {p_value}{seeds})."
    )


def _signed(points: float) -> str:
    text = f"{points:.1f}"
    return "0.0" if text in ("0.0", "-0.0") else text.replace("-", _MINUS)


def _hindrance(ours: Run, theirs: Run) -> str:
    a, b = ours.result, theirs.result
    if a.corpus != b.corpus:
        return f"other corpora, {' and '.join(sorted((a.corpus, b.corpus)))}"
    if a.labels != b.labels:
        return "other emotions"
    if speakers_shared(ours) != speakers_shared(theirs):
        return "one was tested on voices heard in training, the other not"
    return "" if a.protocol == b.protocol else f"other protocols, {' and '.join(sorted((a.protocol, b.protocol)))}"


def _comparable(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs of each group that share their test: all, or where the seed draws the folds, those of the same seeds."""
    if len({_tested(run) for run in (*ours, *theirs)}) == 1:
        return list(ours), list(theirs)
    of_seed = {run.result.seed: run for run in theirs}
    shared = [run for run in ours if run.result.seed in of_seed and _tested(run) == _tested(of_seed[run.result.seed])]
    return shared, [of_seed[run.result.seed] for run in shared]


def _tested(run: Run) -> frozenset[tuple[int, str, int]]:
    said = run.predictions
    return frozenset(zip(said.fold.tolist(), said.utterance.tolist(), said.emotion.tolist(), strict=True))


def _difference(ours: Sequence[Run], theirs: Sequence[Run]) -> PairedDifference:
    utterances, first = _share_right(ours)
    _, second = _share_right(theirs)
    said = ours[0].predictions
    speaker_of = dict(zip(said.utterance.tolist(), said.speaker.tolist(), strict=True))
    return paired_difference(first, second, [speaker_of[utterance] or None for utterance in utterances])


def _share_right(runs: Sequence[Run]) -> tuple[list[str], np.ndarray]:
    """Every utterance once, and the share of seeds and folds that answered it rightly."""
    names, of = np.unique(np.concatenate([run.predictions.utterance for run in runs]), return_inverse=True)
    correct = np.concatenate([run.predictions.correct for run in runs])
    return names.tolist(), np.bincount(of, weights=correct) / np.bincount(of)
