import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from emocatcher.evaluation.scoring.paired_tests import paired_difference
from emocatcher.reports.comparison import compare, groups, pairs
from emocatcher.reports.run_report import Run

Several = dict[str, Path]
Make = Callable[..., Path]


def test_only_runs_with_the_same_utterances_and_folds_are_paired(several: Several) -> None:
    found = compare([several[name] for name in ("shared-s0", "other", "apart", "odd", "made")])
    assert [(pair.first, pair.second) for pair in found.pairs] == [("shared-s0", "other")]
    assert len(found.pairs) + len(found.unpaired) == 10
    reasons = {frozenset((pair.first, pair.second)): pair.reason for pair in found.unpaired}
    assert "speakers of the training part" in reasons[frozenset(("apart", "shared-s0"))]
    assert "emotions" in reasons[frozenset(("odd", "shared-s0"))]
    assert "ravdess and synthetic" in reasons[frozenset((several["made"].name, "shared-s0"))]


def _refolded(run: Run) -> Run:
    """Return the run with the same predictions in other folds."""
    predictions = dataclasses.replace(run.predictions, fold=1 - run.predictions.fold)
    return dataclasses.replace(run, predictions=predictions)


def test_runs_with_different_folds_of_the_same_utterances_are_not_paired(several: Several) -> None:
    ours, theirs = groups.read([several["shared-s0"], several["other"]])
    paired, unpaired = pairs.examine([[ours], [_refolded(theirs)]], ["a", "b"])
    assert not paired
    assert "same folds" in unpaired[0].reason
    assert len(pairs.examine([[ours], [theirs]], ["a", "b"])[0]) == 1


def test_a_run_and_its_repetition_have_the_same_accuracy(several: Several, make: Make) -> None:
    found = compare([several["shared-s0"], make("again")])
    (pair,) = found.pairs
    assert (pair.found.difference, pair.found.p_value, pair.found.told_apart) == (0.0, 1.0, False)
    assert "have the same accuracy" in pair.verdict


def test_the_difference_averages_the_predictions_over_seeds(several: Several) -> None:
    members = groups.group(groups.read([several[name] for name in ("shared-s0", "shared-s1", "other")]))
    (pair,), _ = pairs.examine(members, ["two", "one"])
    two, one = [[run.predictions for run in runs] for runs in members]
    expected = sum(predictions.correct.mean() for predictions in two) / 2 - one[0].correct.mean()
    assert pair.found.difference == pytest.approx(expected)
    assert pair.n_seeds == (2, 1)
    assert pair.found.n_utterances == len(one[0].fold)
    assert "averaged over seeds" in pair.verdict


def test_equal_seeds_are_paired_where_the_seed_draws_the_folds(several: Several, make: Make) -> None:
    again = make("theirs-1", seed=1, preset="another", answers=4)
    ours, ours_1, theirs, theirs_1 = groups.read([several["shared-s0"], several["shared-s1"], several["other"], again])
    seeds = [[ours, _refolded(ours_1)], [theirs, _refolded(theirs_1)]]
    assert pairs.examine(seeds, ["a", "b"])[0][0].n_seeds == (2, 2)
    seeds = [[ours, _refolded(ours_1)], [theirs, theirs_1]]
    assert pairs.examine(seeds, ["a", "b"])[0][0].n_seeds == (1, 1)


def test_verdict_does_not_depend_on_the_order_of_the_pair() -> None:
    better, worse = [1, 1, 1, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0, 0]
    speakers = list("aabbccdd")
    text = pairs.verdict("good", "bad", paired_difference(better, worse, speakers))
    swapped = pairs.verdict("bad", "good", paired_difference(worse, better, speakers))
    assert text == swapped
    assert text.startswith("good is ahead of bad by 75.0 points, 95% interval ")
    assert ": significant (better on 6 utterances, worse on 0, McNemar p = 0.031)" in text
    few = paired_difference([1, 1, 1, 0], [0, 0, 0, 0], ["a", "b", "c", "a"])  # the interval excludes 0, p = 0.25
    assert few.told_apart
    assert ": not clear, the interval excludes 0, but McNemar's p is not below 0.05 (" in pairs.verdict("x", "y", few)
    crowd = paired_difference([1] * 8 + [0], [0] * 8 + [1], ["a"] * 8 + ["b"])  # one speaker decides
    assert ": not clear, the interval includes 0, though McNemar's p is below 0.05 (" in pairs.verdict("x", "y", crowd)
    close = paired_difference([1, 0, 1, 0], [0, 1, 0, 0], ["a", "b", "c", "d"])
    words = pairs.verdict("x", "y", close)
    assert "not significant" in words
    assert "\N{MINUS SIGN}" in words
