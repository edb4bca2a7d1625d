"""Paired tests of rows that were tested on the same utterances in the same folds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np

from emocatcher.evaluation.scoring.paired_tests import PairedDifference, paired_difference
from emocatcher.reports.comparison.groups import speakers_shared
from emocatcher.reports.run_report import Run

_MINUS = "\N{MINUS SIGN}"


class Pair(msgspec.Struct, frozen=True):
    """Two rows and the paired test of their difference."""

    first: str  # names of rows
    second: str
    n_seeds: tuple[int, int]  # averaged over, of each row
    found: PairedDifference
    verdict: str  # `found` as a sentence


class Unpaired(msgspec.Struct, frozen=True):
    """Two rows that cannot be tested against each other."""

    first: str
    second: str
    reason: str


def examine(groups: Sequence[Sequence[Run]], names: Sequence[str]) -> tuple[list[Pair], list[Unpaired]]:
    """Test each pair of groups that share their test utterances and folds.

    Args:
        groups: runs that differ only in their seed, as `groups.group` returns them.
        names: one per group.
    """
    paired, unpaired = [], []
    for (ours, first), (theirs, second) in itertools.combinations(zip(groups, names, strict=True), 2):
        reason = _mismatch(ours[0], theirs[0])
        members = ([], []) if reason else _comparable(ours, theirs)
        if not members[0]:
            reason = reason or "they were not tested on the same utterances in the same folds"
            unpaired.append(Unpaired(first, second, reason))
            continue
        found = _difference(*members)
        n_seeds = len(members[0]), len(members[1])
        paired.append(Pair(first, second, n_seeds, found, verdict(first, second, found, n_seeds)))
    return paired, unpaired


def verdict(first: str, second: str, found: PairedDifference, n_seeds: tuple[int, int] = (1, 1)) -> str:
    """Describe a paired difference in one sentence; points are percentage points of accuracy."""
    ahead, behind = (first, second) if found.difference >= 0 else (second, first)
    sign = 1 if found.difference >= 0 else -1
    low, high = sorted(sign * bound * 100 for bound in found.interval)
    points = abs(found.difference) * 100
    counts = (found.n_first_ahead, found.n_second_ahead)[::sign]
    head = (
        f"{ahead} is ahead of {behind} by {points:.1f} points"
        if points
        else f"{first} and {second} have the same accuracy"
    )
    p_value = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    by_test = found.p_value < 1.0 - found.level
    significance = "significant" if found.told_apart else "not significant"
    if found.told_apart != by_test:  # the interval draws speakers; McNemar's test takes utterances as independent
        what = "the interval excludes 0, but" if found.told_apart else "the interval includes 0, though"
        significance = f"not clear, {what} McNemar's p is {'below' if by_test else 'not below'} {1 - found.level:.2g}"
    seeds = "" if n_seeds == (1, 1) else "; answers averaged over seeds"
    return (
        f"{head}, {found.level:.0%} interval {_signed(low)} to {_signed(high)}: {significance} "
        f"(better on {counts[0]} utterances, worse on {counts[1]}, McNemar {p_value}{seeds})."
    )


def _signed(points: float) -> str:
    text = f"{points:.1f}"
    return "0.0" if text in ("0.0", "-0.0") else text.replace("-", _MINUS)


def _mismatch(ours: Run, theirs: Run) -> str:
    a, b = ours.result, theirs.result
    if a.corpus != b.corpus:
        return f"different corpora ({' and '.join(sorted((a.corpus, b.corpus)))})"
    if a.labels != b.labels:
        return "different emotions"
    if speakers_shared(ours) != speakers_shared(theirs):
        return "one was tested on speakers of the training part, or may have been, and the other was not"
    return "" if a.protocol == b.protocol else f"different protocols ({' and '.join(sorted((a.protocol, b.protocol)))})"


def _comparable(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Return the runs of each group with the same test folds: all, or those of shared seeds if the seed draws folds."""
    if len({_test_set(run) for run in (*ours, *theirs)}) == 1:
        return list(ours), list(theirs)
    of_seed = {run.result.seed: run for run in theirs}
    shared = [
        run for run in ours if run.result.seed in of_seed and _test_set(run) == _test_set(of_seed[run.result.seed])
    ]
    return shared, [of_seed[run.result.seed] for run in shared]


def _test_set(run: Run) -> frozenset[tuple[int, str, int]]:
    rows = run.predictions
    return frozenset(zip(rows.fold.tolist(), rows.utterance.tolist(), rows.emotion.tolist(), strict=True))


def _difference(ours: Sequence[Run], theirs: Sequence[Run]) -> PairedDifference:
    utterances, first = _share_correct(ours)
    _, second = _share_correct(theirs)
    rows = ours[0].predictions
    speaker_of = dict(zip(rows.utterance.tolist(), rows.speaker.tolist(), strict=True))
    return paired_difference(first, second, [speaker_of[utterance] or None for utterance in utterances])


def _share_correct(runs: Sequence[Run]) -> tuple[list[str], np.ndarray]:
    """Return each utterance once, and the share of seeds and folds that predicted it correctly."""
    names, of = np.unique(np.concatenate([run.predictions.utterance for run in runs]), return_inverse=True)
    correct = np.concatenate([run.predictions.correct for run in runs])
    return names.tolist(), np.bincount(of, weights=correct) / np.bincount(of)
