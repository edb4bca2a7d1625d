"""`train`, and the commands that read its run: evaluate, report, check."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher.corpora.table import Corpus

Call = Callable[..., Any]


def test_train_on_a_users_recordings_writes_a_complete_run(trained: Any) -> None:
    assert trained.outcome.code == 0, trained.outcome.err
    assert (trained.folder / "report.html").is_file()
    assert f"{Path('run') / 'report.html'}" in trained.outcome.out
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


def test_the_result_has_all_documented_fields(trained: Any) -> None:
    result = json.loads((trained.folder / "result.json").read_text())
    four = {"last", "last_10_mean", "last_10_std", "best_test"}
    needed = {"protocol", "speakers_shared", "selection", "seed", "n_parameters", "seconds", "folds", "mean", "std"}
    assert needed <= result.keys()
    for entry in (*result["folds"], result["mean"], result["std"]):
        for score in ("accuracy", "unweighted_average_recall"):
            assert entry[score].keys() == four
    assert result["folds"][0]["fold"] == 0


def test_the_columns_name_how_many_epochs_are_averaged(trained: Any) -> None:
    assert "all 3 epochs" in trained.outcome.out
    page = (trained.folder / "report.html").read_text(encoding="utf-8")
    assert "last 10 epochs" not in trained.outcome.out + page
    assert "all 3 epochs" in page


def test_piped_output_is_plain(trained: Any) -> None:
    for text in (trained.outcome.out, trained.outcome.err):
        assert "\x1b" not in text
        assert "\r" not in text
    assert "features:" in trained.outcome.err
    assert "training: 3/3" in trained.outcome.err
    assert "loss" in trained.outcome.err
    assert "Traceback" not in trained.outcome.err


@pytest.mark.parametrize("model", ["best", "last"])
def test_evaluate_agrees_with_the_run(call: Call, trained: Any, model: str) -> None:
    folder = trained.folder / "fold_0" / model
    outcome = call("evaluate", folder, "--corpus", trained.table, "--protocol", "manifest", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert list(found) == [
        "n_utterances", "n_correct", "accuracy", "unweighted_average_recall", "macro_f1", "recall", "protocol", "fold",
        "speakers_shared", "trained_on", "n_test_trained_on", "speaker_groups", "dimensions",
        "n_long", "n_silent",
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


def test_evaluate_scores_all_recordings_of_a_corpus_without_a_protocol(
    call: Call, small_run: Any, voices_dir: Path
) -> None:
    outcome = call("evaluate", small_run.folder / "fold_0" / "last", "--corpus", voices_dir / "Actor_01")
    assert outcome.code == 0, outcome.err
    assert "all recordings" in outcome.out
    assert "of 60" in outcome.out


def test_evaluate_restricts_channel_and_emotions_and_states_that_no_speakers_are_named(
    call: Call, small_run: Any, voices: Corpus, tmp_path: Path
) -> None:
    """The left channel has the clip that its label is of, and the right one has another's."""
    model, rows = small_run.folder / "fold_0" / "last", ["path,label"]
    clips = {label: [one for one in voices if one.emotion == label][:3] for label in ("sad", "angry")}
    for label, other in (("sad", "angry"), ("angry", "sad")):
        for left, right in zip(clips[label], clips[other], strict=True):
            sides = [np.resize(soundfile.read(one.path)[0], 3 * 22_050) for one in (left, right)]  # repeated: 3 s
            soundfile.write(tmp_path / f"{left.id}.wav", np.stack(sides, axis=1), 22_050)
            rows.append(f"{left.id}.wav,{label}")
    (tmp_path / "calls.csv").write_text("\n".join(rows))

    def evaluate(*options: str) -> Any:
        return call("evaluate", model, "--corpus", tmp_path / "calls.csv", "--emotions", "sad,angry", *options)

    left, right = (json.loads(evaluate("--channels", side, "--json").out) for side in ("left", "2"))
    assert list(left["recall"]) == ["sad", "angry"]
    assert left["n_correct"] + right["n_correct"] == 6
    assert left["speakers_shared"] is None
    printed = evaluate("--channels", "left")
    assert "speakers shared with training: not known: the table names no speakers" in printed.out
    assert "answers: sad, angry" in printed.out
    refused = evaluate("--channels", "each")
    assert (refused.code, "Give mix, left, right, or a number" in refused.err) == (2, True)


def test_evaluate_prints_the_scores_and_warns_of_training_recordings(
    call: Call, small_run: Any, voices_dir: Path
) -> None:
    model = small_run.folder / "fold_0" / "last"
    outcome = call("evaluate", model, "--corpus", voices_dir, "--protocol", "stratified-2", "--fold", "1")
    assert outcome.code == 0
    assert "of 120" in outcome.out
    assert "accuracy (WAR)" in outcome.out
    assert "trained on: another fold, stratified-2, fold 0" in outcome.out
    assert "speakers shared with training: yes" in outcome.out
    assert "Note: the model was trained on 120 of these 120 recordings" in outcome.err
    assert "\x1b" not in outcome.out


def test_evaluate_makes_the_folds_with_the_seed_of_the_model(
    call: Call, trained: Any, small_run: Any, voices_dir: Path
) -> None:
    """The seed of folds that are made on the fly is the model's, unless `--seed` is given."""
    model = small_run.folder / "fold_0" / "last"
    own, given, other = (
        json.loads(call("evaluate", model, "--corpus", voices_dir, "--protocol", "stratified-2", "--json", *seed).out)
        for seed in ((), ("--seed", "0"), ("--seed", "9"))
    )
    assert own == given
    result = json.loads((small_run.folder / "result.json").read_text())
    assert own["accuracy"] == result["folds"][0]["selected"]["accuracy"]
    assert other["recall"] != own["recall"]


def test_report_builds_a_missing_page_and_prints_calibration_and_faithfulness(
    call: Call, small_run: Any, tmp_path: Path
) -> None:
    shutil.copytree(small_run.folder, tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()
    outcome = call("report", tmp_path / "run")
    assert outcome.code == 0
    assert (tmp_path / "run" / "report.html").is_file()
    assert "report.html" in outcome.out
    text = " ".join(outcome.out.split())
    assert "Expected calibration error (ECE): 0." in text
    assert "with the temperature fitted on the other folds" in text
    assert "Attention is faithful" in text or "Attention is not faithful: " in text
    assert {"calibration.svg", "faithfulness.png"} <= {path.name for path in (tmp_path / "run" / "figures").iterdir()}


@pytest.mark.parametrize("corpus", ["table", "folder"])
def test_check_counts_the_recordings(call: Call, trained: Any, voices_dir: Path, corpus: str) -> None:
    outcome = call("check", trained.table if corpus == "table" else voices_dir)
    assert outcome.code == 0
    n = 112 if corpus == "table" else 240
    assert f"{n} of {n} recordings decode" in outcome.out


def test_check_decodes_recordings_that_have_no_labels_yet(call: Call, voices_dir: Path, tmp_path: Path) -> None:
    clips = sorted(voices_dir.rglob("*.wav"))[:3]
    for number, clip in enumerate(clips):
        (tmp_path / f"{number}.wav").symlink_to(clip)
    outcome = call("check", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "3 of 3 recordings decode" in outcome.out
    assert "(no label)" in outcome.out
    (tmp_path / "clips.csv").write_text("path,speaker\n0.wav,a\n1.wav,b\n2.wav,b\n")
    assert "2 speakers" in call("check", tmp_path / "clips.csv").out
    assert "emocatcher label" in call("train", "--corpus", tmp_path, "--protocol", "stratified-2", "--out", "run").err


def test_check_lists_every_recording_that_does_not_exist(call: Call, voices_dir: Path, tmp_path: Path) -> None:
    clip = next(voices_dir.rglob("*.wav"))
    names = [f"no{number}.wav" for number in range(8)]
    (tmp_path / "t.csv").write_text(f"path,label,agent\n{clip},sad,7\n" + "".join(f"{name},sad,7\n" for name in names))
    outcome = call("check", tmp_path / "t.csv", "--all")
    assert "1 of 9 recordings decode" in outcome.out
    assert all(name in outcome.out for name in names)
    assert "- note: 1 column is not used: agent" in outcome.out
    refused = call("audit", "--corpus", tmp_path / "t.csv", "--protocol", "manifest")
    assert "8 of 9 rows have none" in refused.err


def test_a_command_prints_what_of_a_folder_is_not_used(call: Call, voices_dir: Path, tmp_path: Path) -> None:
    for number, clip in enumerate(sorted(voices_dir.rglob("*.wav"))[:4]):
        target = tmp_path / "mine" / "ab"[number % 2] / f"{number}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(clip)
    (tmp_path / "mine" / "a" / "notes.txt").touch()
    outcome = call("audit", "--corpus", tmp_path / "mine", "--protocol", "stratified-2")
    assert "Note: " in outcome.err
    assert "1 file has another suffix, .txt (1), and is left out" in outcome.err


def test_check_names_every_file_that_is_left_out(call: Call, voices_dir: Path, tmp_path: Path) -> None:
    clips = sorted(voices_dir.rglob("*.wav"))[:2]
    others = ["a/._1.wav", ".cache/2.wav", *(f"b/{n}.txt" for n in range(6))]
    for name in (*others, "a/1.wav", "b/2.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(clips[0].read_bytes() if name == "a/1.wav" else clips[1].read_bytes())
    short = call("check", tmp_path).out
    assert "2 recordings are hidden" in short
    assert "6 files have other suffixes" in short
    lines = call("check", tmp_path, "--all").out.splitlines()
    listed = {line.removeprefix("- left out: ") for line in lines if line.startswith("- left out: ")}
    assert listed == {str(tmp_path / name) for name in others}


TOO_FEW = {
    "one label": (
        ["sad"] * 12,
        ["01", "02"],
        "stratified-2",
        "To train, recordings of two or more labels",
        "label 'sad'",
    ),
    "one speaker": (["sad", "glad"] * 8, ["01"], "speakers-2", "1 speaker; at least 2", "are of the speaker 01"),
    "three clips": (
        ["sad", "glad", "sad"],
        ["01", "02"],
        "speakers-2",
        "which no utterance of its training part has",
        "sad (2), glad (1)",
    ),
    "a rare label": (["sad", "glad"] * 8 + ["low"], ["01", "02"], "stratified-2", "'low' with 1 utterance", "low (1)"),
    "no row": ([], ["01"], "stratified-2", "has no rows", "has no rows"),
}


@pytest.mark.parametrize(("labels", "speakers", "protocol", "refused", "found"), TOO_FEW.values(), ids=TOO_FEW.keys())
def test_too_few_recordings_are_named_by_check_and_refused_by_train_before_anything_is_written(
    call: Call, voices_dir: Path, tmp_path: Path, labels: list[str], speakers: list[str], protocol: str, refused: str,
    found: str,
) -> None:  # fmt: skip
    clips = sorted(voices_dir.rglob("*.wav"))
    rows = [f"{clips[n]},{label},{speakers[n % len(speakers)]}\n" for n, label in enumerate(labels)]
    (tmp_path / "t.csv").write_text("path,label,speaker\n" + "".join(rows))
    outcome = call("train", "--corpus", tmp_path / "t.csv", "--protocol", protocol, "--out", tmp_path / "run")
    assert outcome.code == 2
    assert refused in outcome.err
    assert outcome.err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "run").exists()
    checked = call("check", tmp_path / "t.csv")
    assert found in (checked.out if labels else checked.err)


def test_check_prints_names_that_look_like_markup_and_recordings_without_a_label(
    call: Call, voices_dir: Path, tmp_path: Path
) -> None:
    *clips, last = sorted((voices_dir / "Actor_01").glob("*.wav"))[:5]
    rows = "".join(f"{clip},[/red]\n" for clip in clips) + f"{last},\n"
    (tmp_path / "a[b].csv").write_text(f"path,label\n{rows}")
    outcome = call("check", tmp_path / "a[b].csv")
    assert outcome.code == 0
    assert "a[b]: 5 of 5" in outcome.out
    assert "[/red]" in outcome.out
    assert "(no label)" in outcome.out
    assert "- note: 1 recording has no label" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--seeds", "0,0"], "names a seed twice"),
        (["--seeds", "0,-1"], "whole numbers from 0 to 4294967295"),
        (["--seeds", "0,4294967296"], "whole numbers from 0 to 4294967295"),
        (["--seeds", ""], "whole numbers from 0 to 4294967295"),
        (["--seeds", "0,1", "--seed", "2"], "--seed or --seeds"),
        (["--engine", "rey"], "'rey' is not an engine. Allowed: ray"),
        (["--address", "auto"], "--address: is for work on a cluster. Give --engine ray too"),
        (["--num-gpus", "1"], "--num-gpus: is for work on a cluster"),
    ],
)
def test_options_of_seeds_and_engines_that_do_not_fit_are_refused(
    call: Call, voices_dir: Path, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    out = tmp_path / "run"
    outcome = call("train", "--corpus", voices_dir, "--protocol", "stratified-2", "--out", out, *arguments)
    assert outcome.code == 2
    assert problem in outcome.err
    assert not out.exists()


@pytest.mark.parametrize("arguments", [["train", "--protocol", "loso-24"], ["sweep", "absent.toml"]])
def test_a_bucket_is_no_run_folder(call: Call, tmp_path: Path, arguments: list[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call(*arguments, "--out", "s3://bucket/runs")
    assert outcome.code == 2
    assert "'s3://…' is not a folder" in outcome.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_several_seeds_are_one_command_with_a_comparison(
    call: Call, train_here: Any, voices_dir: Path, small_network: tuple[str, ...], tmp_path: Path
) -> None:
    settings = [argument for setting in small_network for argument in ("--set", setting)]
    arguments = [
        "train",
        "--corpus",
        voices_dir,
        "--protocol",
        "stratified-2",
        "--epochs",
        "1",
        "--no-audit",
        *settings,
    ]
    outcome = call(*arguments, "--seeds", "3,1", "--out", tmp_path / "runs")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "runs" / "comparison.html").is_file()
    assert "(2 seeds)" in outcome.out
    assert "seed-3, seed-1" in outcome.out
    for seed in (1, 3):
        folder = tmp_path / "runs" / f"seed-{seed}"
        assert (folder / "report.html").is_file()
        assert json.loads((folder / "run.json").read_text())["seed"] == seed
    again = call(*arguments, "--seeds", "3,1", "--out", tmp_path / "runs")
    assert again.code == 2
    assert "--resume" in again.err
    resumed = call(*arguments, "--seeds", "3,1", "--out", tmp_path / "runs", "--resume")
    assert resumed.code == 0, resumed.err
    assert resumed.out == outcome.out
