"""Intervals of recall per class, and of one proportion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.intervals import recall_intervals, wilson_interval


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_agree_with_scipy(trial: tuple[int, int]) -> None:
    reference = binomtest(*trial).proportion_ci(method="wilson")
    assert wilson_interval(*trial) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize(("n_right", "n_all"), [(0, 0), (2, 1), (-1, 3)])
def test_impossible_counts_are_refused(n_right: int, n_all: int) -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(n_right, n_all)


@pytest.mark.parametrize("with_speakers", [True, False])
def test_recall_intervals_hold_the_recall(with_speakers: bool) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 400)
    predicted = np.where(rng.random(400) < 0.7, true, rng.integers(0, 4, 400))
    speakers = [f"{i % 20}" for i in range(400)] if with_speakers else None
    found = recall_intervals(true, predicted, speakers, 5)
    recalls = metrics.recall_scores(metrics.confusion_matrix(true, predicted, 5))
    assert found.shape == (5, 2)
    assert (found[:4, 0] <= recalls[:4]).all()
    assert (found[:4, 1] >= recalls[:4]).all()
    assert (np.diff(found[:4], axis=1) < 0.35).all()
    assert np.isnan(found[4]).all()


def test_intervals_of_one_class_are_those_of_its_accuracy() -> None:
    """With a single class, recall is accuracy, so both come from the same draws."""
    rng = np.random.default_rng(1)
    true, predicted = np.zeros(90, np.int64), (rng.random(90) < 0.2).astype(np.int64)
    speakers = [f"{i % 9}" for i in range(90)]
    expected = metrics.bootstrap_intervals(true, predicted, speakers, 2).accuracy
    assert tuple(recall_intervals(true, predicted, speakers, 2)[0]) == pytest.approx(expected)
