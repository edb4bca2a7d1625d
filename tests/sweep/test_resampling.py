"""The same draws of speakers for every setting."""

import numpy as np
import pytest

from emocatcher import metrics
from emocatcher.sweep import resampling

N_CLASSES = 4


@pytest.fixture
def answers():
    rng = np.random.default_rng(5)
    true, group = rng.integers(0, N_CLASSES, 300), rng.integers(0, 7, 300)
    predicted = [np.where(rng.random(300) < share, true, rng.integers(0, N_CLASSES, 300)) for share in (0.4, 0.6)]
    return true, predicted, group


def test_intervals_are_those_of_metrics(answers):
    true, predicted, group = answers
    confusions = [resampling.group_confusions(true, each, group, N_CLASSES) for each in predicted]
    for each, drawn in zip(predicted, resampling.resample(confusions), strict=True):
        known = metrics.bootstrap_intervals(true, each, [f"{g}" for g in group], N_CLASSES)
        assert resampling.interval(drawn.accuracy) == known.accuracy
        assert resampling.interval(drawn.unweighted_average_recall) == pytest.approx(known.unweighted_average_recall)


def test_scores_are_those_of_metrics(answers):
    true, (predicted, _), group = answers
    confusions = resampling.group_confusions(true, predicted, group, N_CLASSES)
    whole = resampling.scores_of(confusions.sum(axis=0))
    known = metrics.confusion_matrix(true, predicted, N_CLASSES)
    assert confusions.sum(axis=0).tolist() == known.tolist()
    assert float(whole.accuracy) == metrics.accuracy_score(known)
    assert float(whole.unweighted_average_recall) == metrics.unweighted_average_recall_score(known)


def test_a_difference_is_paired(answers):
    """Two that err together differ by nothing, however uncertain each is; with other draws they would not."""
    true, (first, _), group = answers
    one = resampling.group_confusions(true, first, group, N_CLASSES)
    a, b = resampling.resample([one, one.copy()])
    assert (a.accuracy == b.accuracy).all()
    assert resampling.interval(a.accuracy - b.accuracy) == (0.0, 0.0)
    assert np.ptp(a.accuracy) > 0


def test_a_class_that_no_draw_holds_is_left_out():
    true, group = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    (drawn,) = resampling.resample([resampling.group_confusions(true, np.array([0, 1, 1, 1]), group, 3)])
    assert np.isfinite(drawn.unweighted_average_recall).all()
    assert set(drawn.unweighted_average_recall.tolist()) == {0.5, 0.75, 1.0}
