"""From predictions to ranks."""

from pathlib import Path

import msgspec
import pytest

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.scoring import metrics
from emocatcher.training.sweep import ranking
from emocatcher.training.sweep.inner_folds import InnerFold
from emocatcher.training.sweep.plan import Named, SweepFile, resolve
from emocatcher.training.sweep.trial import Finished

LABELS = ("sad", "happy")


def corpus(speakers=("a", "b", "c", "d")):
    rows = [
        (speaker, emotion, n) for speaker in speakers for emotion in LABELS for n in range(3 - LABELS.index(emotion))
    ]
    return Corpus(
        name="table",
        labels=LABELS,
        utterances=tuple(
            Utterance(id=str(i), path=Path("x"), emotion=emotion, speaker=speaker)
            for i, (speaker, emotion, _) in enumerate(rows)
        ),
    )


def inner_of(table):
    ids = tuple(u.id for u in table)
    half = len(ids) // 2
    return (InnerFold(0, 0, ids[half:], ids[:half]), InnerFold(0, 1, ids[:half], ids[half:]))


def ranked(answer, table=None, diverged=(), **file):
    """Rank three settings; `answer` maps (setting, seed, utterance) to an emotion."""
    table = table or corpus()
    names = ("base", "worse", "better")
    plan = resolve(SweepFile(protocol="speakers-2", setting=tuple(map(Named, names)), **file), "a sweep")
    inner = inner_of(table)
    finished = {}
    for trial in ranking.all_trials(plan.choices, inner, plan.file.seeds):
        valid = table.select(inner[trial.split].valid)
        predicted = {u.id: answer(trial.setting, trial.seed, u) for u in valid}
        finished[trial] = Finished(**msgspec.structs.asdict(trial), seconds=1.0 + trial.split, predictions=predicted)
        if trial.setting in diverged and trial.split == 1:
            finished[trial] = Finished(**msgspec.structs.asdict(trial), seconds=0.0, diverged="the loss is nan")
    return ranking.rank(plan, table, inner, finished), finished


def answer(setting, seed, utterance):
    right, wrong = utterance.emotion, next(label for label in LABELS if label != utterance.emotion)
    n_wrong = {"base": 2, "worse": 3, "better": 1}[setting]
    return wrong if int(utterance.id) % 5 < n_wrong else right


def test_the_best_setting_comes_first_with_its_difference_from_the_baseline():
    found, _ = ranked(answer)
    assert [(row.rank, row.setting) for row in found.settings] == [(1, "better"), (2, "base"), (3, "worse")]
    assert [row.accuracy.value for row in found.settings] == [0.8, 0.6, 0.4]
    assert [row.accuracy.difference for row in found.settings] == pytest.approx([0.2, 0.0, -0.2])
    for row in found.settings:
        # All speakers have the same errors here, so all draws are equal.
        assert row.accuracy.interval == pytest.approx((row.accuracy.value,) * 2)
        assert row.accuracy.difference_interval == pytest.approx((row.accuracy.difference,) * 2)
    assert found.baseline == "base"
    assert (found.n_utterances, found.n_speakers, found.resampled) == (20, 4, "speakers")


def test_settings_with_equal_predictions_tie():
    found, _ = ranked(lambda _setting, seed, utterance: answer("base", seed, utterance))
    assert [(row.rank, row.setting) for row in found.settings] == [(1, "base"), (1, "worse"), (1, "better")]
    for row in found.settings:
        for score in (row.accuracy, row.unweighted_average_recall):
            assert (score.difference, score.difference_interval) == (0.0, (0.0, 0.0))


def test_the_order_of_trials_does_not_matter():
    table = corpus()
    found, finished = ranked(answer, table)
    plan = resolve(SweepFile(protocol="speakers-2", setting=tuple(map(Named, ("base", "worse", "better")))), "a sweep")
    turned = dict(reversed(finished.items()))
    assert ranking.rank(plan, table, inner_of(table), turned) == found


def test_settings_can_be_ranked_by_uar():
    def by_class(setting, _seed, utterance):
        # "worse" is right for the larger class, "base" for the smaller class and a part of the larger one.
        if setting == "worse":
            return "sad"
        return "happy" if utterance.emotion == "happy" or int(utterance.id) % 5 == 0 else "sad"

    table = corpus()
    by_accuracy, _ = ranked(by_class, table)
    by_uar, _ = ranked(by_class, table, rank_by="unweighted_average_recall")
    assert by_uar.ranked_by == "unweighted_average_recall"
    for found, name in ((by_accuracy, "accuracy"), (by_uar, "unweighted_average_recall")):
        values = [getattr(row, name).value for row in found.settings]
        assert values == sorted(values, reverse=True)


def test_seeds_are_pooled():
    found, _ = ranked(lambda s, seed, u: answer("better" if seed else "worse", seed, u), seeds=(0, 1))
    assert found.settings[0].accuracy.value == pytest.approx(0.6)
    assert found.settings[0].n_trials == 4
    assert found.n_utterances == 20


def test_without_speakers_utterances_are_drawn_with_all_their_seeds():
    one, two = (ranked(answer, corpus((None,) * 4), seeds=seeds)[0] for seeds in ((0,), (0, 1)))
    assert (one.resampled, one.n_speakers) == ("utterances", 0)
    # A second seed with the same predictions adds no evidence.
    assert [row.accuracy for row in one.settings] == [row.accuracy for row in two.settings]


def test_a_setting_that_diverged_has_no_rank():
    found, _ = ranked(answer, diverged=("better",))
    last = found.settings[-1]
    assert (last.rank, last.setting, last.accuracy, last.diverged) == (None, "better", None, "the loss is nan")
    assert [row.rank for row in found.settings] == [1, 2, None]
    none, _ = ranked(answer, diverged=("base", "worse", "better"))
    assert [row.rank for row in none.settings] == [None] * 3


def test_there_are_no_differences_from_a_baseline_that_diverged():
    found, _ = ranked(answer, diverged=("base",))
    assert [row.accuracy.difference for row in found.settings[:2]] == [None, None]


def test_trials_alternate_between_settings():
    plan = resolve(SweepFile(protocol="x-2", setting=(Named("a"), Named("b")), seeds=(0, 1)), "a sweep")
    trials = ranking.all_trials(plan.choices, inner_of(corpus()), (0, 1))
    assert [trial.setting for trial in trials] == ["a", "b"] * 4
    assert len(set(trials)) == 8


def test_shared_speakers_are_found_from_the_utterances():
    apart, _ = ranked(answer)
    assert apart.separates_speakers
    assert "of speakers not trained on" in apart.note
    for speakers in (("a", "b", "a", "b"), (None,) * 4):
        shared, _ = ranked(answer, corpus(speakers))
        assert not shared.separates_speakers
        assert "of speakers that may have been trained on" in shared.note


def test_the_note_names_the_validation_part():
    found, finished = ranked(answer)
    assert "Validation inside the training part of speakers-2, fold 0" in found.note
    assert "no clip of the test part was touched" in found.note
    assert ranking.seconds_a_trial(finished) == dict.fromkeys(("base", "worse", "better"), 1.5)


def test_intervals_equal_those_of_reports_and_differences_are_paired():
    found, finished = ranked(lambda setting, seed, u: answer("base", seed, u) if setting != "better" else u.emotion)
    table = corpus()
    answers = {
        id_: label for one in finished.values() if one.setting == "base" for id_, label in one.predictions.items()
    }
    true = [LABELS.index(u.emotion) for u in table]
    predicted = [LABELS.index(answers[u.id]) for u in table]
    known = metrics.bootstrap_intervals(true, predicted, [u.speaker for u in table], len(LABELS))
    base, worse = (next(row for row in found.settings if row.setting == name) for name in ("base", "worse"))
    assert base.accuracy.interval == known.accuracy
    assert base.unweighted_average_recall.interval == known.unweighted_average_recall
    assert worse.unweighted_average_recall.difference_interval == (0.0, 0.0)
