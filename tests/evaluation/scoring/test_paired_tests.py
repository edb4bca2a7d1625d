"""Paired tests, compared with a direct sum and with the unpaired bootstrap, and properties that always hold."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.paired_tests import mcnemar_p_value, paired_difference


def answers(n=240, n_speakers=12, seed=0):
    random = np.random.default_rng(seed)
    speakers = [f"{i % n_speakers:02d}" for i in range(n)]
    return random.random(n) < 0.8, random.random(n) < 0.7, speakers


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (0, 3), (5, 5), (7, 19), (30, 12), (499, 500), (40, 400)])
def test_mcnemar_is_the_share_of_splits_at_least_as_uneven(counts):
    """Counted in whole numbers, exactly."""
    n, fewer = sum(counts), min(counts)
    as_uneven = sum(comb(n, k) for k in range(n + 1) if min(k, n - k) <= fewer)
    assert mcnemar_p_value(*counts) == pytest.approx(float(Fraction(as_uneven, 2**n)), rel=1e-12)


def test_mcnemar_knows_no_sides_and_refuses_what_is_no_count():
    assert mcnemar_p_value(3, 11) == mcnemar_p_value(11, 3)
    with pytest.raises(ValueError, match="-1"):
        mcnemar_p_value(-1, 2)


def test_a_run_compared_with_itself_has_no_difference():
    right, _, speakers = answers()
    found = paired_difference(right, right, speakers)
    assert (found.difference, found.interval, found.p_value, found.told_apart) == (0.0, (0.0, 0.0), 1.0, False)


def test_swapping_the_models_changes_only_the_sign():
    first, second, speakers = answers()
    found, turned = paired_difference(first, second, speakers), paired_difference(second, first, speakers)
    assert turned.difference == -found.difference
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))
    assert turned.p_value == found.p_value
    assert (turned.n_first_ahead, turned.n_second_ahead) == (found.n_second_ahead, found.n_first_ahead)
    assert turned.told_apart == found.told_apart


def test_the_interval_against_a_model_that_is_never_right_is_that_of_one_run():
    first, _, speakers = answers()
    found = paired_difference(first, np.zeros(len(first)), speakers)
    alone = metrics.bootstrap_intervals(np.zeros(len(first), int), (~first).astype(int), speakers, 2)
    assert found.interval == pytest.approx(alone.accuracy)
    assert (found.difference, found.resampled, found.n_resampled) == (first.mean(), "speakers", 12)


def test_whole_speakers_are_drawn():
    """If speakers differ and the clips of one speaker agree, drawing clips would give intervals that are too narrow."""
    first = np.repeat([1.0, 1.0, 1.0, 0.0], 50)
    speakers = np.repeat(["a", "b", "c", "d"], 50).tolist()
    clustered = paired_difference(first, 1 - first, speakers)
    alone = paired_difference(first, 1 - first, None)
    assert alone.resampled == "utterances"
    assert alone.told_apart
    assert not clustered.told_apart
    assert paired_difference(first, 1 - first, [None, *speakers[1:]]) == alone


def test_with_several_seeds_the_higher_share_counts_as_ahead():
    found = paired_difference([1 / 3, 1.0, 0.5], [2 / 3, 0.0, 0.5], None)
    assert (found.n_first_ahead, found.n_second_ahead, found.n_utterances) == (1, 1, 3)
    assert found.difference == pytest.approx((2 - 7 / 6 + 1 / 3 - 1 / 2 - 1 / 2 + 1 / 2) / 3)


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        ([1], [1, 0], {}, "1 utterances against 2"),
        ([], [], {}, "at least one"),
        ([[1]], [[1]], {}, r"\(1, 1\)"),
        ([2], [1], {}, "outside 0..1"),
        ([np.nan], [1], {}, "outside 0..1"),
        ([1], [1], {"groups": ["a", "b"]}, "2 groups"),
        ([1], [1], {"n_resamples": 0}, "n_resamples 0"),
        ([1], [1], {"level": 1.0}, "level 1.0"),
    ],
)
def test_answers_that_cannot_be_paired_are_refused(first, second, options, message):
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second, **{"groups": None, **options})
