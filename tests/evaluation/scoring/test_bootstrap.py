"""The cluster bootstrap against a slow reference, and on data whose spread is known."""

from collections import Counter
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from scipy.stats import binom

from emocatcher.evaluation.scoring import bootstrap, metrics
from emocatcher.evaluation.scoring.paired_tests import paired_difference

ANSWERS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    min_size=1,
    max_size=25,
)


def slow_resamples(speakers, n_resamples, seed):
    """Every resample as a plain list of utterances, from the same draws of whole speakers or single utterances."""
    names = sorted(set(speakers))
    groups = [[i for i, each in enumerate(speakers) if each == name] for name in names]
    if len(groups) < 2:
        groups = [[i] for i in range(len(speakers))]
    draws = np.random.default_rng(seed).multinomial(len(groups), [1 / len(groups)] * len(groups), size=n_resamples)
    return [[i for group, times in zip(groups, row, strict=True) for i in group * times] for row in draws.tolist()]


def slow_scores(true, predicted, chosen):
    """Accuracy and UAR, as exact fractions."""
    right, of = Counter(), Counter(true[i] for i in chosen)
    right.update(true[i] for i in chosen if true[i] == predicted[i])
    recalls = [Fraction(right[label], n) for label, n in of.items()]
    return Fraction(sum(right.values()), len(chosen)), sum(recalls) / len(recalls)


@given(ANSWERS, st.integers(0, 1000))
@settings(deadline=None)
def test_scores_and_means_of_every_resample_agree_with_a_slow_reference(answers, seed):
    speakers, true, predicted, other = map(list, zip(*answers, strict=True))
    of = bootstrap.clusters(speakers, len(speakers))
    right = np.equal(true, predicted).astype(float)
    ahead = right - np.equal(true, other)
    confusions = metrics.confusions_by_cluster(np.array(true), np.array(predicted), of, 3)
    scores = bootstrap.resample(of, lambda times: metrics.resampled_scores(times, confusions), 20, seed)
    means = bootstrap.resample_means(of, np.stack([right, ahead], axis=1), 20, seed)
    for i, chosen in enumerate(slow_resamples(speakers, 20, seed)):
        accuracy, unweighted_average_recall = slow_scores(true, predicted, chosen)
        assert scores[i] == pytest.approx([float(accuracy), float(unweighted_average_recall)])
        assert means[i] == pytest.approx([float(accuracy), np.mean([ahead[j] for j in chosen])])


@given(ANSWERS, st.integers(0, 1000))
@settings(deadline=None)
def test_the_published_intervals_are_quantiles_of_the_slow_reference(answers, seed):
    speakers, true, predicted, other = map(list, zip(*answers, strict=True))
    assume(len(set(speakers)) > 1)
    drawn = slow_resamples(speakers, 50, seed)
    found = metrics.bootstrap_intervals(true, predicted, speakers, 3, 50, 0.9, seed)
    scores = np.array([[float(score) for score in slow_scores(true, predicted, chosen)] for chosen in drawn])
    assert found.accuracy == pytest.approx(tuple(np.quantile(scores[:, 0], [0.05, 0.95])))
    assert found.unweighted_average_recall == pytest.approx(tuple(np.quantile(scores[:, 1], [0.05, 0.95])))
    first, second = np.equal(true, predicted), np.equal(true, other)
    differences = [np.mean([float(first[i]) - float(second[i]) for i in chosen]) for chosen in drawn]
    paired = paired_difference(first, second, speakers, 50, 0.9, seed)
    assert paired.interval == pytest.approx(tuple(np.quantile(differences, [0.05, 0.95])))


def test_a_resample_holds_whole_speakers_as_many_as_there_are():
    speakers = ["a"] * 5 + ["b"] * 2 + ["c"]
    of = bootstrap.clusters(speakers, 8)
    holds = bootstrap.resample(of, lambda times: times @ of.totals(np.eye(8)), 200)
    assert (of.resampled, of.n_drawn) == ("speakers", 3)
    assert (holds[:, :5] == holds[:, :1]).all()
    assert (holds[:, 5] == holds[:, 6]).all()
    assert (holds[:, 0] + holds[:, 5] + holds[:, 7] == 3).all()


@pytest.mark.parametrize("speakers", [None, ["a"] * 4, ["a", "b", None, "b"], np.array(["a"] * 4)])
def test_utterances_are_drawn_where_fewer_than_two_speakers_are_known(speakers):
    of = bootstrap.clusters(speakers, 4)
    assert (of.resampled, of.n_drawn) == ("utterances", 4)
    assert of.totals([1.0, 2.0, 3.0, 4.0]).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_utterances_that_are_alike_give_the_same_distribution_as_each_on_its_own():
    right = np.arange(200) < 140
    each, alike = (bootstrap.clusters(None, 200, alike=code) for code in (None, right.astype(np.int64)))
    assert (len(each.shares), len(alike.shares)) == (200, 2)
    expected = binom.ppf([0.025, 0.5, 0.975], 200, 0.7) / 200
    for of in (each, alike):
        means = bootstrap.resample_means(of, right, 20_000)
        assert np.quantile(means, [0.025, 0.5, 0.975]) == pytest.approx(expected, abs=0.006)  # one utterance is 0.005


def test_the_same_seed_gives_the_same_draws_in_blocks_of_any_size(monkeypatch):
    of, values = bootstrap.clusters([f"{i % 7}" for i in range(40)], 40), np.arange(40) % 3
    whole, other = (bootstrap.resample_means(of, values, 100, seed) for seed in (3, 4))
    monkeypatch.setattr(bootstrap, "_MOST_COUNTS", 7 * 9)
    np.testing.assert_array_equal(bootstrap.resample_means(of, values, 100, 3), whole)
    assert not np.array_equal(whole, other)


def test_models_that_err_together_have_a_difference_without_spread():
    of = bootstrap.clusters(list("aabbccdd"), 8)
    right = np.array([1, 1, 1, 0, 0, 0, 1, 0])
    means = bootstrap.resample_means(of, np.stack([right, right], axis=1))
    assert np.ptp(means[:, 0]) > 0
    assert bootstrap.interval(means[:, 0] - means[:, 1]) == (0.0, 0.0)


def test_intervals_by_speaker_cover_the_truth_and_intervals_by_utterance_do_not():
    """Speakers differ in how well they are recognised; the truth is the mean over all speakers that there could be."""
    random, n_speakers, n_clips = np.random.default_rng(0), 30, 20
    speakers = np.repeat([f"{i:02d}" for i in range(n_speakers)], n_clips)
    covered = {"speakers": 0, "utterances": 0}
    for trial in range(300):
        recalls = random.beta(6, 4, n_speakers)  # mean 0.6
        right = random.random(n_speakers * n_clips) < np.repeat(recalls, n_clips)
        for given_speakers in (speakers, None):
            of = bootstrap.clusters(given_speakers, len(right), alike=right.astype(np.int64))
            low, high = bootstrap.interval(bootstrap.resample_means(of, right, 400, trial))
            covered[of.resampled] += low <= 0.6 <= high
    assert 0.90 < covered["speakers"] / 300 < 0.98
    assert covered["utterances"] / 300 < 0.85


def test_what_cannot_be_drawn_is_refused_with_its_value():
    with pytest.raises(ValueError, match="0 utterances"):
        bootstrap.clusters(None, 0)
    with pytest.raises(ValueError, match="2 groups for 3 utterances"):
        bootstrap.clusters(["a", "b"], 3)
    with pytest.raises(ValueError, match="n_resamples 0"):
        bootstrap.resample_means(bootstrap.clusters(None, 2), [0, 1], 0)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match=f"level {level}"):
            bootstrap.interval(np.arange(3.0), level)
