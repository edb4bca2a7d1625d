"""`emocatcher settle`, and the options of other commands that use it."""

import json

import pytest

from emocatcher.recognition import batch


@pytest.fixture(scope="module")
def model(small_run):
    return str(small_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def folder(voices, tmp_path_factory):
    place = tmp_path_factory.mktemp("calls")
    for number, utterance in enumerate(voices.utterances[::12]):
        (place / f"{number:02}.wav").symlink_to(utterance.path)
    return place


def test_a_folder_is_settled_on_first(call, model, folder, tmp_path):
    out = tmp_path / "settled.jsonl"
    done = call("predict", str(folder), "--settle", "--model", model, "--out", str(out), "--workers", "1")
    assert done.code == 0, done.err
    n = len(batch.expand([str(folder)]))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == n
    (settled_on,) = {row["settled_on"] for row in rows}
    assert f"Settled on {settled_on} recordings" in done.err
    assert settled_on > n // 2
    again = call("predict", str(folder), "--model", model, "--out", str(out), "--resume")
    assert again.code == 2


def test_a_file_of_settle_is_used_for_one_recording(call, model, folder, tmp_path):
    path = tmp_path / "room.json"
    done = call("settle", str(folder), "--to", str(path), "--model", model, "--workers", "1")
    assert done.code == 0, done.err
    assert f"predict RECORDING --model {model} --settled {path}" in done.out
    clip = str(next(folder.iterdir()))
    plain = json.loads(call("predict", clip, "--model", model, "--format", "jsonl").out)
    settled = json.loads(call("predict", clip, "--model", model, "--format", "jsonl", "--settled", str(path)).out)
    assert plain["settled_on"] == 0
    assert settled["settled_on"] == json.loads(path.read_text())["n_recordings"]
    assert settled["probabilities"] != plain["probabilities"]


def test_only_some_emotions_are_answered(call, model, folder):
    clip = str(next(folder.iterdir()))
    done = call("predict", clip, "--model", model, "--format", "jsonl", "--emotions", "neutral, sad,angry")
    assert list(json.loads(done.out)["probabilities"]) == ["neutral", "sad", "angry"]
    shown = call("timeline", clip, "--model", model, "--format", "json", "--emotions", "sad,angry")
    assert json.loads(shown.out)["labels"] == ["sad", "angry"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--emotions", "bored,sad"], "'bored' is not among the emotions"),
        (["--settled", "missing.json"], "is not a file of `emocatcher settle`"),
        (["--settle", "--settled", "x.json"], "--settled names what to use"),
    ],
)
def test_options_that_cannot_be_used_are_named(call, model, folder, options, problem):
    done = call("predict", str(folder), "--model", model, *options)
    assert done.code == 2
    assert problem in done.err
