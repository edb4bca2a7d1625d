"""Abstaining below a threshold."""

import numpy as np
import pytest

from emocatcher.evaluation.scoring import abstaining


def answers(n=500, seed=0):
    """Calibrated confidences in steps, so that many are equal."""
    random = np.random.default_rng(seed)
    confidence = random.integers(1, 20, n) / 20
    return confidence, random.random(n) < confidence


def test_the_curve_falls_only_after_the_most_confident_answers_if_these_are_right():
    confidence, right = np.linspace(1, 0.01, 100), np.arange(100) < 60
    curve = abstaining.risk_coverage(confidence, right)
    assert (curve.accuracy[:60] == 1).all()
    assert curve.accuracy[-1] == 0.6
    assert (np.diff(curve.accuracy[59:]) < 0).all()
    np.testing.assert_allclose(curve.coverage, np.arange(1, 101) / 100)
    # This order of the answers has the smallest area of all orders, and its reverse the largest.
    best = abstaining.area_under_risk_coverage(confidence, right)
    assert best == pytest.approx(np.mean([max(0, n - 60) / n for n in range(1, 101)]))
    worst = abstaining.area_under_risk_coverage(-confidence, right)
    shuffled = [abstaining.area_under_risk_coverage(np.random.default_rng(i).random(100), right) for i in range(20)]
    assert best < min(shuffled)
    assert max(shuffled) < worst


def test_the_order_of_answers_of_equal_confidence_has_no_effect():
    confidence, right = answers()
    order = np.random.default_rng(1).permutation(len(right))
    for found in (abstaining.risk_coverage, abstaining.area_under_risk_coverage):
        np.testing.assert_array_equal(
            np.concatenate(np.atleast_2d(found(confidence, right))),
            np.concatenate(np.atleast_2d(found(confidence[order], right[order]))),
        )
    assert len(abstaining.risk_coverage(confidence, right).threshold) == len(set(confidence))
    # All confidences are equal, so the risk at every coverage is that of all answers.
    assert abstaining.area_under_risk_coverage(np.ones(8), np.arange(8) < 6) == pytest.approx(0.25)


def test_every_point_of_the_curve_has_the_coverage_and_accuracy_of_its_threshold():
    confidence, right = answers()
    for threshold, coverage, accuracy in zip(*abstaining.risk_coverage(confidence, right), strict=True):
        given = confidence >= threshold
        assert coverage == given.mean()
        assert accuracy == pytest.approx(right[given].mean())


@pytest.mark.parametrize("least", [0.0, 0.5, 0.6, 0.8, 0.9])
def test_the_threshold_reaches_the_accuracy_and_no_lower_one_does(least):
    confidence, right = answers()
    threshold = abstaining.smallest_threshold(confidence, right, least)
    assert right[confidence >= threshold].mean() >= least
    lower = [value for value in set(confidence) if value < threshold]
    assert all(right[confidence >= value].mean() < least for value in lower)
    assert (least > 0) == bool(lower)


def test_there_may_be_no_threshold_if_the_most_confident_answers_are_wrong():
    assert abstaining.smallest_threshold([0.9, 0.8, 0.7], [False, True, True], 0.8) is None


@pytest.mark.parametrize(("confidence", "right"), [([], []), ([0.5], [True, False]), ([[0.5]], [[True]])])
def test_arrays_of_different_shapes_are_refused(confidence, right):
    for function in (abstaining.risk_coverage, abstaining.area_under_risk_coverage):
        with pytest.raises(ValueError, match="needed: one length"):
            function(confidence, right)
