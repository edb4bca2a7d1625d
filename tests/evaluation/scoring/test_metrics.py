import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from scipy.stats import binom

from emocatcher.evaluation.scoring import metrics

N_CLASSES = 5
CLASSES = st.integers(0, N_CLASSES - 1)
PAIRS = st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=60).map(lambda pairs: np.array(pairs).T)


@given(PAIRS)
def test_every_score_agrees_with_scikit_learn(pairs):
    true, predicted = pairs
    confusion = metrics.confusion_matrix(true, predicted, N_CLASSES)
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(
        confusion, sklearn.metrics.confusion_matrix(true, predicted, labels=list(range(N_CLASSES)))
    )
    present = np.unique(true)
    recalls = sklearn.metrics.recall_score(true, predicted, labels=present, average=None, zero_division=0)
    expected = np.full(N_CLASSES, np.nan)
    expected[present] = recalls
    np.testing.assert_allclose(metrics.recall_scores(confusion), expected)
    assert metrics.unweighted_average_recall_score(confusion) == pytest.approx(recalls.mean())
    assert metrics.accuracy_score(confusion) == pytest.approx(sklearn.metrics.accuracy_score(true, predicted))
    assert metrics.macro_f1_score(confusion) == pytest.approx(
        sklearn.metrics.f1_score(true, predicted, average="macro", zero_division=0)
    )


@given(PAIRS)
def test_score_holds_all_scores_and_is_the_same_after_json(pairs):
    true, predicted = pairs
    labels = ["a", "b", "c", "d", "e"]
    scores = metrics.score(true, predicted, labels)
    confusion = metrics.confusion_matrix(true, predicted, N_CLASSES)
    assert scores.n_utterances == len(true)
    assert scores.n_correct == int((true == predicted).sum())
    assert scores.accuracy == metrics.accuracy_score(confusion)
    assert scores.unweighted_average_recall == metrics.unweighted_average_recall_score(confusion)
    assert scores.macro_f1 == metrics.macro_f1_score(confusion)
    assert list(scores.recall) == labels
    assert {label for label, recall in scores.recall.items() if recall is None} == {
        label for i, label in enumerate(labels) if i not in true
    }
    assert msgspec.json.decode(msgspec.json.encode(scores), type=metrics.Scores) == scores


@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(1, 20))
def test_calibration_error_agrees_with_its_definition(seed, n_utterances, n_bins):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), size=n_utterances)
    true = rng.integers(0, 4, size=n_utterances)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    expected = 0.0
    for i in range(n_bins):
        inside = (confidence > i / n_bins) & (confidence <= (i + 1) / n_bins)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert metrics.expected_calibration_error(probabilities, true, n_bins) == pytest.approx(expected)


def test_calibration_error_puts_a_bin_edge_into_the_lower_bin():
    # 0.5 belongs to (0, 0.5]. In the upper bin, together with 1.0, the two gaps would cancel.
    probabilities = [[0.5, 0.5], [1.0, 0.0]]
    assert metrics.expected_calibration_error(probabilities, [0, 1], n_bins=2) == pytest.approx(0.75)


def test_bootstrap_draws_whole_speakers():
    # All clips of a speaker are right or all are wrong, so accuracy is the share of right speakers among 20: binomial.
    right = np.repeat(np.arange(20) < 12, 30)
    true = np.tile([0, 1], 300)
    predicted = np.where(right, true, 1 - true)
    speakers = np.repeat([f"speaker {i}" for i in range(20)], 30)
    intervals = metrics.bootstrap_intervals(true, predicted, speakers, 2, n_resamples=20_000)
    expected = binom.ppf([0.025, 0.975], 20, 0.6) / 20
    assert intervals.resampled == "speakers"
    np.testing.assert_allclose(intervals.accuracy, expected, atol=1e-9)
    np.testing.assert_allclose(intervals.unweighted_average_recall, expected, atol=1e-9)
    by_utterance = metrics.bootstrap_intervals(true, predicted, None, 2, n_resamples=20_000)
    np.testing.assert_allclose(by_utterance.accuracy, binom.ppf([0.025, 0.975], 600, 0.6) / 600, atol=0.002)
    alone = metrics.bootstrap_intervals(true, predicted, [str(i) for i in range(600)], 2, n_resamples=20_000)
    np.testing.assert_allclose(alone.accuracy, by_utterance.accuracy, atol=0.004)
    np.testing.assert_allclose(alone.unweighted_average_recall, by_utterance.unweighted_average_recall, atol=0.004)


@pytest.mark.parametrize("groups", [None, ["one"] * 4, ["one", "two", None, "two"]])
def test_bootstrap_records_that_it_drew_utterances(groups):
    intervals = metrics.bootstrap_intervals([0, 1, 2, 1], [0, 1, 1, 1], groups, 3)
    assert intervals.resampled == "utterances"
    assert intervals == metrics.bootstrap_intervals([0, 1, 2, 1], [0, 1, 1, 1], None, 3)


@given(PAIRS, st.integers(1, 6), st.integers(0, 100))
def test_intervals_are_ordered_repeatable_and_nested(pairs, n_speakers, seed):
    true, predicted = pairs
    speakers = [str(i % n_speakers) for i in range(len(true))]
    wide, again, narrow = (
        metrics.bootstrap_intervals(true, predicted, speakers, N_CLASSES, 200, level, seed)
        for level in (0.95, 0.95, 0.5)
    )
    assert wide == again
    for name in ("accuracy", "unweighted_average_recall"):
        low, high = getattr(wide, name)
        inner_low, inner_high = getattr(narrow, name)
        assert 0 <= low <= inner_low <= inner_high <= high <= 1


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([0, 1], [0], r"\(2,\), predicted \(1,\)"),
        ([[0]], [[0]], r"\(1, 1\)"),
        ([], [], "empty"),
        ([0, 3], [0, 1], "true holds classes 0 to 3; allowed: 0 to 2"),
        ([0, 1], [0, -1], "predicted holds classes -1 to 0; allowed: 0 to 2"),
        ([0.0, 1.0], [0, 1], "float64"),
    ],
)
def test_predictions_that_cannot_be_scored_are_refused_and_the_error_states_the_values(true, predicted, message):
    for call in (
        lambda: metrics.confusion_matrix(true, predicted, 3),
        lambda: metrics.score(true, predicted, ["a", "b", "c"]),
        lambda: metrics.bootstrap_intervals(true, predicted, None, 3),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        ([[1, 2]], r"\(1, 2\)"),
        ([1], r"\(1,\)"),
        ([[0.5]], "float64"),
        ([[-1]], "minimum -1"),
        ([[0, 0], [0, 0]], "no utterance"),
        (np.zeros((0, 0), dtype=int), "no utterance"),
    ],
)
def test_an_array_that_is_not_a_confusion_matrix_is_refused(confusion, message):
    for function in (
        metrics.accuracy_score,
        metrics.recall_scores,
        metrics.unweighted_average_recall_score,
        metrics.macro_f1_score,
    ):
        with pytest.raises(ValueError, match=message):
            function(confusion)


@pytest.mark.parametrize(
    ("probabilities", "true", "n_bins", "message"),
    [
        ([0.5, 0.5], [0], 15, r"\(2,\)"),
        ([[0.5, 0.4]], [0], 15, r"row 0 .*\[0.5, 0.4\]"),
        ([[0.5, 0.5], [np.nan, 1.0]], [0, 0], 15, "row 1"),
        ([[1.5, -0.5]], [0], 15, "row 0"),
        ([[0.5, 0.5]], [0], 0, "n_bins is 0"),
        ([[0.5, 0.5]], [0, 1], 15, r"\(2,\), predicted \(1,\)"),
        (np.zeros((0, 2)), [], 15, "empty"),
    ],
)
def test_rows_that_are_not_distributions_are_refused(probabilities, true, n_bins, message):
    with pytest.raises(ValueError, match=message):
        metrics.expected_calibration_error(probabilities, true, n_bins)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ["a"]}, "1 groups for 2 utterances"),
        ({"n_resamples": 0}, "n_resamples 0"),
        ({"level": 1.0}, "level 1.0"),
    ],
)
def test_bootstrap_refuses_arguments_out_of_range(changes, message):
    arguments = {"groups": None, "n_classes": 2, **changes}
    with pytest.raises(ValueError, match=message):
        metrics.bootstrap_intervals([0, 1], [0, 1], **arguments)
