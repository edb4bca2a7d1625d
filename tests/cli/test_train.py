"""`train`, and what the other commands then say of its run."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_users_own_recordings_go_the_whole_way(trained: Any) -> None:
    assert trained.said.code == 0, trained.said.err
    assert (trained.folder / "report.html").is_file()
    assert f"{Path('run') / 'report.html'}" in trained.said.out
    result = json.loads((trained.folder / "result.json").read_text())
    assert result["labels"] == ["cross", "flat", "glad", "low"]
    assert result["seconds"].keys() == {"features", "training"}
    assert all(seconds > 0 for seconds in result["seconds"].values())
    assert (result["seed"], result["n_epochs"], result["selection"]) == (5, 3, "best-valid")
    assert result["separates_speakers"]
    assert not result["speakers_shared"]
    (fold,) = result["folds"]
    assert (fold["n_train"], fold["n_valid"], fold["n_test"]) == (56, 28, 28)
    with (trained.folder / "split.csv").open(newline="") as file:
        speakers = {(row["part"], row["speaker"]) for row in csv.DictReader(file)}
    assert speakers == {("train", "03"), ("train", "04"), ("valid", "02"), ("test", "01")}


def test_the_result_has_every_field_of_the_issue(trained: Any) -> None:
    result = json.loads((trained.folder / "result.json").read_text())
    four = {"last", "last_10_mean", "last_10_std", "best_test"}
    needed = {"protocol", "speakers_shared", "selection", "seed", "n_parameters", "seconds", "folds", "mean", "std"}
    assert needed <= result.keys()
    for entry in (*result["folds"], result["mean"], result["std"]):
        for score in ("accuracy", "unweighted_average_recall"):
            assert entry[score].keys() == four
    assert result["folds"][0]["fold"] == 0


def test_piped_output_is_plain(trained: Any) -> None:
    for text in (trained.said.out, trained.said.err):
        assert "\x1b" not in text
        assert "\r" not in text
    assert "features:" in trained.said.err
    assert "training: 3/3" in trained.said.err
    assert "loss" in trained.said.err
    assert "Traceback" not in trained.said.err


@pytest.mark.parametrize("model", ["best", "last"])
def test_evaluate_agrees_with_the_run(call: Call, trained: Any, model: str) -> None:
    folder = trained.folder / "fold_0" / model
    said = call("evaluate", folder, "--corpus", trained.table, "--protocol", "manifest", "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert list(found) == [
        "n_utterances", "n_correct", "accuracy", "unweighted_average_recall", "macro_f1", "recall", "protocol", "fold",
        "speakers_shared", "trained_on", "n_trained_on",
    ]  # fmt: skip
    (fold,) = json.loads((trained.folder / "result.json").read_text())["folds"]
    if model == "best":
        names = ("accuracy", "unweighted_average_recall", "macro_f1", "recall")
        assert {name: found[name] for name in names} == {name: fold["selected"][name] for name in names}
    else:
        assert found["accuracy"] == fold["accuracy"]["last"]
        assert found["unweighted_average_recall"] == fold["unweighted_average_recall"]["last"]
    assert (found["protocol"], found["fold"], found["speakers_shared"]) == ("manifest", 0, False)
    assert found["n_utterances"] == 28


def test_evaluate_tells_people_the_same(call: Call, small_run: Any, voices_dir: Path) -> None:
    model = small_run.folder / "fold_0" / "last"
    said = call("evaluate", model, "--corpus", voices_dir, "--protocol", "stratified-2", "--fold", "1")
    assert said.code == 0
    assert "of 120" in said.out
    assert "accuracy (WAR)" in said.out
    assert "trained on: another fold, stratified-2, fold 0" in said.out
    assert "speakers shared with training: yes" in said.out
    assert "Note: the model was trained on 120 of these 120 recordings" in said.err
    assert "\x1b" not in said.out


def test_evaluate_deals_the_folds_that_the_model_was_trained_on(
    call: Call, trained: Any, small_run: Any, voices_dir: Path
) -> None:
    """The seed of folds made on the fly is the model's, unless another is asked for."""
    model = small_run.folder / "fold_0" / "last"
    own, given, other = (
        json.loads(call("evaluate", model, "--corpus", voices_dir, "--protocol", "stratified-2", "--json", *seed).out)
        for seed in ((), ("--seed", "0"), ("--seed", "9"))
    )
    assert own == given
    result = json.loads((small_run.folder / "result.json").read_text())
    assert own["accuracy"] == result["folds"][0]["selected"]["accuracy"]
    assert other["recall"] != own["recall"]


def test_report_tells_whether_to_believe_probabilities_and_attention(
    call: Call, small_run: Any, tmp_path: Path
) -> None:
    shutil.copytree(small_run.folder, tmp_path / "run")
    said = call("report", tmp_path / "run")
    assert said.code == 0
    told = " ".join(said.out.split())
    assert "Expected calibration error (ECE): 0." in told
    assert "with the temperature fitted on the other folds" in told
    assert "Attention is faithful" in told or "Attention is not faithful: " in told
    assert {"calibration.svg", "faithfulness.png"} <= {path.name for path in (tmp_path / "run" / "figures").iterdir()}


def test_report_can_be_drawn_again(call: Call, trained: Any) -> None:
    (trained.folder / "report.html").unlink()
    said = call("report", trained.folder)
    assert said.code == 0
    assert (trained.folder / "report.html").is_file()
    assert "report.html" in said.out


@pytest.mark.parametrize("corpus", ["table", "folder"])
def test_check_counts(call: Call, trained: Any, voices_dir: Path, corpus: str) -> None:
    said = call("check", trained.table if corpus == "table" else voices_dir)
    assert said.code == 0
    n = 112 if corpus == "table" else 240
    assert f"{n} of {n} recordings decode" in said.out


def test_a_table_whose_names_look_like_markup(call: Call, voices_dir: Path, tmp_path: Path) -> None:
    clips = sorted((voices_dir / "Actor_01").glob("*.wav"))[:4]
    rows = "".join(f"{clip},[/red]\n" for clip in clips)
    (tmp_path / "a[b].csv").write_text(f"path,label\n{rows}")
    said = call("check", tmp_path / "a[b].csv")
    assert said.code == 0
    assert "a[b]: 4 of 4" in said.out
    assert "[/red]" in said.out


def test_corpora_are_listed(call: Call) -> None:
    said = call("corpora")
    assert said.code == 0
    assert "ravdess" in said.out
    assert "CC BY-NC-SA 4.0" in said.out
    assert "synthetic" in said.out
