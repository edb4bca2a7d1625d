"""The majority of listeners, scored like a model."""

from pathlib import Path

import numpy as np
import pytest

from emocatcher.corpora.table import Utterance
from emocatcher.evaluation.scoring import listeners, metrics

LABELS = ("happy", "sad", "angry")


def made(votes, emotion="happy", speaker="a", corpus=None):
    return {
        "path": Path("a.wav"), "emotion": emotion, "speaker": speaker, "corpus": corpus,
        "listeners": tuple((label, n) for label, n in zip(LABELS, votes, strict=True) if n),
    }  # fmt: skip


def score(rows, predicted, **options):
    utterances = [Utterance(id=f"{i}", **row) for i, row in enumerate(rows)]
    true = np.array([LABELS.index(row["emotion"]) for row in rows])
    return listeners.score(utterances, true, np.array(predicted), LABELS, corpus="mine", **options)


def test_the_majority_is_scored_against_the_label_and_a_tie_is_wrong():
    rows = [
        made((5, 1, 0)),
        made((0, 6, 0), "sad"),
        made((3, 0, 3)),  # a tie, also of the label
        made((9, 0, 0), "angry"),
    ]
    (found,) = score(rows, [0, 1, 0, 0])
    assert (found.corpus, found.n_utterances, found.n_tied, found.votes_per_utterance) == ("mine", 4, 1, 6.75)
    assert found.accuracy.mean == 0.5
    assert found.unweighted_average_recall.mean == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found.run_accuracy.mean == 0.75
    assert found.run_unweighted_average_recall.mean == pytest.approx((1 + 1 + 0) / 3)


def test_utterances_without_votes_are_left_out_on_both_sides():
    voted = [made((5, 1, 0)), made((0, 6, 0), "sad")]
    assert score([*voted, made((0, 0, 0))], [0, 0, 2]) == score(voted, [0, 0])
    assert score([made((0, 0, 0))], [0]) == ()


def test_votes_for_a_class_that_the_model_could_not_answer_do_not_count():
    rows = [made((4, 1, 5))]
    assert score(rows, [0])[0].accuracy.mean == 0
    assert score(rows, [0], scored=np.array([[True, True, False]]))[0].accuracy.mean == 1


def test_intervals_draw_speakers_for_listeners_and_model_alike():
    random = np.random.default_rng(0)
    rows = [made(random.integers(0, 9, 3), LABELS[i % 3], f"speaker {i % 6}") for i in range(240)]
    majority = listeners.majority(
        np.array([[dict(row["listeners"]).get(label, 0) for label in LABELS] for row in rows])
    )
    (found,) = score(rows, np.minimum(majority, 2))
    true = np.array([LABELS.index(row["emotion"]) for row in rows])
    expected = metrics.bootstrap_intervals(true, np.minimum(majority, 2), [row["speaker"] for row in rows], 3)
    assert found.resampled == expected.resampled == "speakers"
    assert found.run_accuracy.interval == expected.accuracy
    assert found.run_unweighted_average_recall.interval == expected.unweighted_average_recall
    low, high = found.accuracy.interval
    assert low < found.accuracy.mean < high


def test_each_corpus_with_votes_has_its_own_listeners():
    rows = [made((5, 0, 0), corpus="b"), made((0, 0, 0), corpus="c"), made((0, 5, 0), corpus="a")]
    found = [(one.corpus, one.n_utterances, one.accuracy.mean) for one in score(rows, [0, 0, 0])]
    assert found == [("b", 1, 1.0), ("a", 1, 0.0)]
