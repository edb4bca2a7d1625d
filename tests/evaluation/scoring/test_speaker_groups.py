"""Scores by group of speakers."""

from pathlib import Path

import numpy as np
import pytest

from emocatcher.corpora.table import Utterance
from emocatcher.evaluation.scoring import metrics, speaker_groups

N_EACH = 8  # utterances of a speaker


def utterances(speakers):
    """`N_EACH` utterances for each speaker, given as name → fields."""
    return [
        Utterance(id=f"{name}-{i}", path=Path("a.wav"), emotion="happy" if i % 2 else "sad", speaker=name, **fields)
        for name, fields in speakers.items()
        for i in range(N_EACH)
    ]


def score(rows, right, answered=None):
    true = np.array([int(row.emotion == "happy") for row in rows])
    predicted = np.where(right, true, 1 - true)
    return speaker_groups.score(rows, true, predicted, 2, answered=answered, corpus="mine")


def people(n, **fields):
    return {f"{'-'.join(map(str, fields.values()))}-{i}": fields for i in range(n)}


def test_each_group_has_the_scores_of_its_own_utterances_alone():
    rows = utterances(people(6, gender="female") | people(7, gender="male"))
    random = np.random.default_rng(0)
    right, answered = random.random(len(rows)) < 0.7, random.random(len(rows)) < 0.5
    women = np.array([row.gender == "female" for row in rows])
    found = score(rows, right, answered)
    assert [(one.corpus, one.trait, one.name, one.n_speakers) for one in found] == [
        ("mine", "sex", "female", 6),
        ("mine", "sex", "male", 7),
    ]
    for one, chosen in zip(found, (women, ~women), strict=True):
        kept = [row for row, stays in zip(rows, chosen, strict=True) if stays]
        assert one.n_utterances == len(kept)
        true = np.array([int(row.emotion == "happy") for row in kept])
        predicted = np.where(right[chosen], true, 1 - true)
        alone = metrics.bootstrap_intervals(true, predicted, [row.speaker for row in kept], 2)
        recall = metrics.unweighted_average_recall_score(metrics.confusion_matrix(true, predicted, 2))
        assert one.unweighted_average_recall.mean == recall
        assert one.unweighted_average_recall.interval == alone.unweighted_average_recall
        assert one.share_answered.mean == answered[chosen].mean()
        low, high = one.share_answered.interval
        assert low < one.share_answered.mean < high


def test_intervals_draw_speakers_not_utterances():
    rows = utterances(people(6, gender="female") | people(6, gender="male"))
    alike = np.array([row.speaker[-1] in "012" for row in rows])  # all utterances of a speaker are right, or none
    found = score(rows, alike, alike)[0]
    for estimate in (found.unweighted_average_recall, found.share_answered):
        assert estimate.mean == 0.5
        assert estimate.interval[1] - estimate.interval[0] > 0.6  # 48 utterances would give 0.28


def test_groups_of_few_speakers_are_counted_and_not_scored():
    rows = utterances(people(5, race="A") | people(4, race="B") | people(3))
    scored, small = score(rows, np.ones(len(rows), bool), np.ones(len(rows), bool))
    assert (scored.name, scored.n_speakers, scored.unweighted_average_recall.mean) == ("A", 5, 1.0)
    assert (small.name, small.n_speakers, small.n_utterances) == ("B", 4, 4 * N_EACH)
    assert small.unweighted_average_recall is small.share_answered is None


def test_a_trait_that_all_share_or_nobody_has_gives_no_group():
    rows = utterances(people(6, gender="female", age=40) | people(6, gender="female", age=70))
    assert [one.name for one in score(rows, np.ones(len(rows), bool))] == ["30 to 44", "60 and above"]
    assert score(utterances(people(6)), np.ones(6 * N_EACH, bool)) == ()


def test_without_a_threshold_no_share_is_answered():
    rows = utterances(people(6, gender="female") | people(6, gender="male"))
    assert all(one.share_answered is None for one in score(rows, np.ones(len(rows), bool)))


def test_utterances_without_a_speaker_are_in_no_group():
    rows = [
        Utterance(id=f"{i}", path=Path("a.wav"), emotion="sad", gender="male" if i % 2 else "female") for i in range(20)
    ]
    assert score(rows, np.ones(len(rows), bool)) == ()


def test_each_tested_corpus_has_groups_of_its_own():
    rows = utterances(
        people(5, gender="female", corpus="b")
        | people(5, gender="male", corpus="b")
        | people(5, gender="female", corpus="a")
        | people(5, gender="male", corpus="a")
    )
    right = np.array([row.corpus == "a" for row in rows])
    found = [(one.corpus, one.name, one.unweighted_average_recall.mean) for one in score(rows, right)]
    assert found == [("b", "female", 0.0), ("b", "male", 0.0), ("a", "female", 1.0), ("a", "male", 1.0)]


@pytest.mark.parametrize(("age", "band"), [(0, "under 30"), (44, "30 to 44"), (45, "45 to 59"), (99, "60 and above")])
def test_age_bands(age, band):
    assert speaker_groups.age_band(age) == band
