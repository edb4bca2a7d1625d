"""Runs that train on some corpora and test on others: what is scored, and what result.json states."""

import csv
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from emocatcher.corpora import joined
from emocatcher.evaluation import audit, protocols, run_folder
from emocatcher.evaluation.scoring import metrics
from emocatcher.models import model_folder
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.reports import run_report
from emocatcher.reports.run_report import chance
from emocatcher.training import fold_evaluation


@pytest.fixture(scope="session")
def result(across):
    return json.loads((across.folder / "result.json").read_text())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_fold_states_its_sides_its_classes_and_chance(result):
    assert [fold["between"] for fold in result["folds"]] == [
        {"trained_on": ["lacking", "larger"], "tested_on": ["with-calm"], "classes": ["neutral", "happy", "sad"],
         "calm_as_neutral": True, "not_scored": {"fearful": fold_count(result, 0)}, "chance": pytest.approx(1 / 3)},
        {"trained_on": ["with-calm", "larger"], "tested_on": ["lacking"], "classes": ["neutral", "sad", "angry"],
         "calm_as_neutral": True, "not_scored": {}, "chance": pytest.approx(1 / 3)},
        {"trained_on": ["with-calm", "lacking"], "tested_on": ["larger"],
         "classes": ["neutral", "happy", "sad", "angry"], "calm_as_neutral": True, "not_scored": {}, "chance": 0.25},
    ]  # fmt: skip


def fold_count(result, number):
    fold = result["folds"][number]
    return 24 - fold["n_test"] if number == 0 else 0


def test_classes_that_a_side_lacks_are_neither_scored_nor_answered(across, result):
    scored = {fold["fold"]: set(fold["between"]["classes"]) for fold in result["folds"]}
    for row in rows(across.folder / "predictions.csv"):
        classes = scored[int(row["fold"])]
        given = {label: float(row[f"probability_{label}"]) for label in result["labels"]}
        assert {row["emotion"], row["predicted"]} <= classes
        assert {label for label, p in given.items() if p > 0} == classes
        assert sum(given.values()) == pytest.approx(1, abs=1e-4)
    for fold in result["folds"]:
        assert {label for label, value in fold["selected"]["recall"].items() if value is not None} == scored[
            fold["fold"]
        ]
    lines = (across.folder / "metrics.jsonl").read_text().splitlines()
    assert all(np.isfinite(json.loads(line)["test_loss"]) for line in lines)


def test_listeners_are_scored_on_the_same_clips_over_the_same_classes(result):
    (found,) = result["listeners"]
    fold = result["folds"][1]
    assert (found["corpus"], found["n_utterances"], found["n_tied"]) == ("lacking", fold["n_test"], 0)
    # Their votes for happy, which the corpus lacks, do not count, as the run could not answer it either.
    assert found["votes_per_utterance"] == 5
    assert found["accuracy"]["mean"] == found["unweighted_average_recall"]["mean"] == 1
    assert found["run_accuracy"]["mean"] == pytest.approx(fold["selected"]["accuracy"])
    assert found["run_unweighted_average_recall"]["mean"] == pytest.approx(
        fold["selected"]["unweighted_average_recall"]
    )


def test_the_mean_weighs_corpora_equally(across, result):
    run = run_folder.read(across.folder)
    each = [
        metrics.unweighted_average_recall_score(
            metrics.confusion_matrix(run.predictions.emotion[of], run.predictions.predicted[of], len(result["labels"]))
        )
        for of in (run.predictions.fold == number for number in range(3))
    ]
    found = result["over_corpora"]
    assert found["unweighted_average_recall"] == pytest.approx(np.mean(each))
    assert found["chance"] == pytest.approx(np.mean([1 / 3, 1 / 3, 1 / 4]))
    low, high = found["unweighted_average_recall_interval"]
    assert low < found["unweighted_average_recall"] < high
    assert found["n_folds"] == 3


def test_the_run_can_be_read_and_its_report_states_what_was_scored(across):
    run = run_folder.read(across.folder)
    assert run.result.over_corpora is not None
    page = run_report.write(across.folder).read_text()
    assert "Calm counts as neutral." in page
    assert f"fearful of with-calm ({run.result.folds[0].between.not_scored['fearful']})" in page
    assert "Trained on, tested on" in page
    assert "for UAR, within each tested corpus" in page
    assert "Calm counts as neutral." in run_report.trust_lines(run)[0]
    assert chance.level(run).recall == pytest.approx((1 / 3 + 1 / 3 + 1 / 4) / 3)


def test_the_model_of_a_fold_has_the_same_score_when_it_is_evaluated(across, result):
    recognizer = Recognizer(model_folder.read(across.folder / "fold_0" / "last"))
    found = fold_evaluation.evaluate(recognizer, across.corpus, across.protocol, 0)
    assert found.unweighted_average_recall == pytest.approx(
        result["folds"][0]["selected"]["unweighted_average_recall"], abs=0.05
    )
    assert found.recall["fearful"] is None
    assert not found.speakers_shared


def test_the_audit_finds_a_recording_that_two_corpora_share(several, small_settings):
    twice = [
        msgspec.structs.replace(
            several, name=name, utterances=tuple(u for u in several if u.corpus in names), labels=several.labels
        )
        for name, names in (("one", ("with-calm", "lacking")), ("two", ("lacking", "larger")))
    ]
    both = joined.join(twice, {})
    n_shared = sum(u.corpus == "lacking" for u in several)
    found = audit.run(both, protocols.load("leave-one-corpus-out", both), small_settings)
    assert [(leak.kind, leak.folds, len(leak.pairs)) for leak in found.leaks] == [("same-audio", (0, 1), n_shared)]
    clean = audit.run(several, protocols.load("leave-one-corpus-out", several), small_settings)
    assert (clean.leaks, clean.n_utterances) == ((), len(several))


def test_resuming_a_finished_run_keeps_its_result(across, train_here, result):
    train_here(across.folder, across.corpus, across.protocol.name, across.settings, resume=True)
    assert json.loads((across.folder / "result.json").read_text()) == result


def test_calm_has_no_utterance_in_training_where_it_counts_as_neutral(across):
    assert "calm" not in {row["emotion"] for row in rows(across.folder / "split.csv")}
    assert protocols.load(across.protocol.name, across.corpus) == across.protocol
