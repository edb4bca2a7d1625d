"""`result.json`, compared with scikit-learn on the run's other files."""

import csv
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, recall_score

from emocatcher.evaluation.scoring import calibration
from emocatcher.evaluation.scoring.run_result import Result
from emocatcher.reports import run_report

COURSES = {
    "accuracy": "test_accuracy",
    "unweighted_average_recall": "test_unweighted_average_recall",
    "loss": "test_loss",
}


@pytest.fixture(scope="module")
def result(small_run: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((small_run.folder / "result.json").read_text())
    return found


@pytest.fixture(scope="module")
def epochs(small_run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (small_run.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def predictions(small_run: Any) -> list[dict[str, str]]:
    with (small_run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_result_describes_the_run(result: dict[str, Any]) -> None:
    expected = {
        "protocol": "stratified-2", "separates_speakers": False, "speakers_shared": True, "corpus": "synthetic",
        "synthetic": True, "preset": "cabg", "selection": "last", "optimistic": False, "seed": 0, "n_epochs": 12,
        "n_utterances": 240, "n_speakers": 4,
    }  # fmt: skip
    assert {name: result[name] for name in expected} == expected
    assert result["cannot_claim"]
    assert result["n_parameters"] == 3441
    assert result["seconds"].keys() >= {"features", "training"}
    assert [entry["fold"] for entry in result["folds"]] == [0, 1]


def test_epochs_are_in_order(epochs: list[dict[str, Any]]) -> None:
    assert [(epoch["fold"], epoch["epoch"]) for epoch in epochs] == [(f, e) for f in (0, 1) for e in range(1, 13)]


@pytest.mark.parametrize("course", COURSES)
def test_scores_agree_with_the_epochs(result: dict[str, Any], epochs: list[dict[str, Any]], course: str) -> None:
    for entry in result["folds"]:
        of_fold = [epoch for epoch in epochs if epoch["fold"] == entry["fold"]]
        values = [epoch[COURSES[course]] for epoch in of_fold]
        best = int(np.argmax([epoch["test_accuracy"] for epoch in of_fold]))
        assert entry[course] == pytest.approx(
            {
                "last": values[-1], "last_10_mean": np.mean(values[2:]), "last_10_std": np.std(values[2:]),
                "best_test": values[best],
            }
        )  # fmt: skip
        if course != "unweighted_average_recall":
            train = [epoch[f"train_{course}"] for epoch in of_fold]
            assert entry[f"train_{course}"] == pytest.approx(
                {"last": train[-1], "last_10_mean": np.mean(train[2:]), "last_10_std": np.std(train[2:])}
            )


def test_selected_scores_equal_scikit_learn(
    result: dict[str, Any], predictions: list[dict[str, str]], small_run: Any
) -> None:
    labels = result["labels"]
    for entry, fold in zip(result["folds"], small_run.protocol.folds, strict=True):
        rows = [row for row in predictions if row["fold"] == str(entry["fold"])]
        assert [row["utterance"] for row in rows] == list(fold.test)
        true, predicted = [row["emotion"] for row in rows], [row["predicted"] for row in rows]
        selected = entry["selected"]
        assert entry["n_test"] == len(rows)
        assert entry["n_train"] == len(fold.train)
        assert selected["accuracy"] == pytest.approx(accuracy_score(true, predicted))
        assert selected["unweighted_average_recall"] == pytest.approx(balanced_accuracy_score(true, predicted))
        assert selected["macro_f1"] == pytest.approx(f1_score(true, predicted, labels=labels, average="macro"))
        recall = recall_score(true, predicted, labels=labels, average=None)
        assert selected["recall"] == pytest.approx(dict(zip(labels, recall, strict=True)))
        # The selected model is the last one, so its scores are those of the last epoch.
        assert entry["selected_epoch"] == 12
        assert entry["accuracy"]["last"] == pytest.approx(selected["accuracy"])
        assert entry["unweighted_average_recall"]["last"] == pytest.approx(selected["unweighted_average_recall"])
        low, high = selected["accuracy_interval"]
        assert low <= selected["accuracy"] <= high


def test_probabilities_sum_to_one_and_give_the_loss_of_the_epoch(
    result: dict[str, Any], predictions: list[dict[str, str]]
) -> None:
    labels = result["labels"]
    for row in predictions:
        probabilities = [float(row[f"probability_{label}"]) for label in labels]
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
        assert float(row["probability"]) == max(probabilities) == float(row[f"probability_{row['predicted']}"])
    for entry in result["folds"]:
        rows = [row for row in predictions if row["fold"] == str(entry["fold"])]
        p = np.array([[float(row[f"probability_{label}"]) for label in labels] for row in rows])
        true = np.array([labels.index(row["emotion"]) for row in rows])
        on_true = log_loss(true, p / p.sum(axis=1, keepdims=True), labels=range(8))
        everywhere = -np.log(p).sum(axis=1).mean()
        assert entry["loss"]["last"] == pytest.approx((0.9 - 0.1 / 7) * on_true + 0.1 / 7 * everywhere, abs=1e-3)


def test_calibration_is_computed_from_the_predictions(
    result: dict[str, Any], predictions: list[dict[str, str]], small_run: Any
) -> None:
    labels = result["labels"]
    p = np.array([[float(row[f"probability_{label}"]) for label in labels] for row in predictions])
    true = np.array([labels.index(row["emotion"]) for row in predictions])
    folds = np.array([int(row["fold"]) for row in predictions])
    speakers = [row["speaker"] for row in predictions]
    found = msgspec.to_builtins(calibration.calibrate(p, true, folds, groups=speakers))
    assert result["calibration"].keys() == found.keys()
    for name in ("temperature", "expected_calibration_error", "expected_calibration_error_calibrated"):
        assert result["calibration"][name] == pytest.approx(found[name], abs=1e-3)
    assert [one["fold"] for one in result["calibration"]["folds"]] == [0, 1]


def test_groups_of_speakers_are_counted_in_the_result(result: dict[str, Any], small_run: Any) -> None:
    genders = {utterance.speaker: utterance.gender for utterance in small_run.corpus}
    for one in result["speaker_groups"]:
        assert (one["corpus"], one["trait"]) == ("synthetic", "sex")
        assert one["n_speakers"] == list(genders.values()).count(one["name"])
        assert "unweighted_average_recall" not in one  # four speakers are too few
    assert sum(one["n_utterances"] for one in result["speaker_groups"]) == result["n_utterances"]


def test_attention_was_probed_in_every_fold(result: dict[str, Any]) -> None:
    of_folds = [entry["faithfulness"] for entry in result["folds"]]
    together = result["faithfulness"]
    assert [one["n_clips"] for one in of_folds] == [120, 120]
    assert together["n_clips"] == 240
    assert together["resampled"] == "speakers"
    for name in ("attended", "random", "least", "occlusion", "attended_ahead"):
        assert together[name]["mean"] == pytest.approx(np.mean([one[name]["mean"] for one in of_folds]))
        low, high = together[name]["interval"]
        assert low <= together[name]["mean"] <= high
    assert together["occlusion"]["mean"] > together["random"]["mean"]
    assert 0.15 < together["share_deleted"] < 0.25


def test_results_of_earlier_versions_and_of_this_one_can_be_read(small_run: Any) -> None:
    kept = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("cabg-*.json"))
    assert len(kept) >= 6
    for path in kept:
        before = msgspec.json.decode(path.read_bytes(), type=Result)
        assert before.folds
        if b'"faithfulness"' not in path.read_bytes():
            assert before.faithfulness is before.folds[0].faithfulness is None
    run = run_report.read(small_run.folder)
    plain = msgspec.json.decode((small_run.folder / "result.json").read_bytes(), type=Result)
    assert run.result == plain
    assert plain.calibration is not None
    # None is left out, because null stands for a number that could not be computed.
    nothing = msgspec.structs.replace(plain, faithfulness=None, calibration=None)
    assert not {"faithfulness", "calibration"} & msgspec.to_builtins(nothing).keys()


def test_statistics_over_folds(result: dict[str, Any]) -> None:
    statistics = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}
    for name, statistic in statistics.items():
        for course in COURSES:
            for field in ("last", "last_10_mean", "last_10_std", "best_test"):
                values = [entry[course][field] for entry in result["folds"]]
                assert result[name][course][field] == pytest.approx(float(statistic(values)))
        for score in ("accuracy", "unweighted_average_recall", "macro_f1"):
            values = [entry["selected"][score] for entry in result["folds"]]
            assert result[name]["selected"][score] == pytest.approx(float(statistic(values)))
        for label in result["labels"]:
            values = [entry["selected"]["recall"][label] for entry in result["folds"]]
            assert result[name]["selected"]["recall"][label] == pytest.approx(float(statistic(values)))
    accuracies = [entry["selected"]["accuracy"] for entry in result["folds"]]
    assert result["lowest_fold"] == int(np.argmin(accuracies))
    assert result["highest_fold"] == int(np.argmax(accuracies))


def test_the_interval_is_over_speakers_and_contains_the_pooled_score(
    result: dict[str, Any], predictions: list[dict[str, str]]
) -> None:
    interval = result["interval"]
    assert interval["resampled"] == "speakers"
    assert interval["level"] == 0.95
    pooled = accuracy_score([row["emotion"] for row in predictions], [row["predicted"] for row in predictions])
    low, high = interval["accuracy"]
    assert low <= pooled <= high
    by_speaker = [
        np.mean([row["emotion"] == row["predicted"] for row in predictions if row["speaker"] == speaker])
        for speaker in sorted({row["speaker"] for row in predictions})
    ]
    assert min(by_speaker) - 1e-9 <= low
    assert high <= max(by_speaker) + 1e-9
