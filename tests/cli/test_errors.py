"""User errors: one line on stderr, exit code 2, no traceback."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from .conftest import without_notes

Call = Callable[..., Any]

TRAIN = ("train", "--corpus", "{voices}", "--protocol", "stratified-2", "--out", "{tmp}/run")


def assert_one_line(outcome: Any, *needed: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert without_notes(outcome.err)[0].startswith("Error: ")
    assert len(without_notes(outcome.err)) == 1
    assert outcome.err.endswith("\n")
    for text in needed:
        assert text in outcome.err


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ([*TRAIN, "--preset", "cagb"], ["Unknown preset 'cagb'. Did you mean 'cabg'?"]),
        ([*TRAIN, "--preset", "no.toml"], ["No settings file 'no.toml'"]),
        ([*TRAIN, "--set", "optimiser.learning_rat=1"], ["Did you mean 'learning_rate'?"]),
        ([*TRAIN, "--set", "optimizer.learning_rate=1"], ["Did you mean 'optimiser'?"]),
        ([*TRAIN, "--set", "learning_rate"], ["section.key=value"]),
        ([*TRAIN, "--set", "training.selection=beste"], ["selection"]),
        ([*TRAIN, "--set", "optimiser.learning_rate=-1"], ["learning_rate"]),
        ([*TRAIN, "--set", "network.kernel_size=4"], ["even"]),
        ([*TRAIN, "--protocol", "stratified"], ["Unknown protocol 'stratified'", "stratified-K"]),
        ([*TRAIN, "--protocol", "speakers-99"], ["99 folds", "allowed are 2 to 4"]),
        ([*TRAIN, "--protocol", "stratified-1"], ["stratified-1"]),
        ([*TRAIN, "--protocol", "reference-holdout"], ["needs", "lacks"]),
        ([*TRAIN, "--protocol", "manifest"], ["split"]),
        ([*TRAIN, "--device", "tpu"], ["There is no device 'tpu'", "auto, cpu, cuda, mps"]),
        ([*TRAIN, "--corpus", "ravdes"], ["Did you mean 'ravdess'?"]),
        ([*TRAIN, "--corpus", "{tmp}/none.csv"], ["none.csv"]),
        ([*TRAIN, "--out", "{voices}/truth.csv"], ["truth.csv is a file"]),
        ([*TRAIN, "--out", "{run}"], ["holds a run already", "--resume"]),
        ([*TRAIN, "--out", "{run}", "--resume"], ["holds another run"]),
        (["evaluate", "{tmp}", "--protocol", "stratified-2"], ["not a model folder"]),
        (["evaluate", "{run}/fold_0/last", "--protocol", "stratified-2", "--fold", "2", "--corpus", "{voices}"],
         ["no fold 2", "0 to 1"]),
        (["evaluate", "{run}/fold_0/last", "--protocol", "nonsense", "--corpus", "{voices}"], ["Unknown protocol"]),
        (["predict", "{tmp}/none.wav", "--model", "{run}/fold_0/last"], ["none.wav"]),
        (["predict", "{tmp}/text.wav", "--model", "{run}/fold_0/last"], ["text.wav"]),
        (["predict", "{tmp}/nan.wav", "--model", "{run}/fold_0/last"], ["nan.wav", "NaN"]),
        (["predict", "{tmp}/empty.wav", "--model", "{run}/fold_0/last"], ["empty.wav"]),
        (["predict", "{tmp}/hollow", "--model", "{run}/fold_0/last"], ["{tmp}/hollow", "without audio"]),
        (["predict", "{tmp}/two\nlines.wav", "--model", "{run}/fold_0/last"], ["two\\nlines.wav"]),
        (["predict", "{tmp}/\x1b[31mred.wav", "--model", "{run}/fold_0/last"], ["\\x1b[31mred.wav"]),
        (["predict", "{tmp}/\udcff.wav", "--model", "{run}/fold_0/last"], ["\\udcff.wav"]),
        (["predict", "{tmp}/a[/b].wav", "--model", "{run}/fold_0/last"], ["a[/b].wav"]),
        (["predict", "{tmp}/text.wav", "--model", "{tmp}/none"], ["No model", "none"]),
        (["predict", "{tmp}/text.wav", "--model", "cagb"], ["No model 'cagb'", "Did you mean 'cabg'?"]),
        (["convert", "{tmp}/none.pth", "--to", "{tmp}/model"], ["No checkpoint"]),
        (["convert", "{tmp}/text.wav", "--to", "{tmp}/model"], ["text.wav"]),
        (["convert", "{tmp}/text.wav", "--to", "{run}/fold_0/last"], ["already contains a model"]),
        (["report", "{tmp}"], ["{tmp}"]),
        (["report", "{tmp}/none"], ["none"]),
        (["compare", "{tmp}/none", "--out", "{tmp}/a.html"], ["No run folder", "none"]),
        (["compare", "{run}", "{tmp}", "--out", "{tmp}/a.html"], ["{tmp}", "not a finished run folder"]),
        (["compare", "{run}", "{run}", "--out", "{tmp}/a.html"], ["given twice"]),
        (["compare", "{run}", "--out", "{tmp}/text.wav"], ["ends in .html"]),
        (["fetch", "nonsense"], ["Unknown corpus 'nonsense'"]),
        (["check", "nonsense"], ["Unknown corpus 'nonsense'"]),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    call: Call, tmp_path: Path, voices_dir: Path, small_run: Any, arguments: list[str], needed: list[str]
) -> None:
    (tmp_path / "a[").mkdir()
    (tmp_path / "hollow").mkdir()
    for name in ("text.wav", "two\nlines.wav", "a[/b].wav", "\x1b[31mred.wav"):
        (tmp_path / name).write_text("text, not audio")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.1]), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    places = {"{tmp}": str(tmp_path), "{voices}": str(voices_dir), "{run}": str(small_run.folder)}

    def filled(text: str) -> str:
        for mark, place in places.items():
            text = text.replace(mark, place)
        return text

    assert_one_line(call(*map(filled, arguments)), *map(filled, needed))
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "model").exists()


def test_an_error_is_one_line_in_a_subprocess(process: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    assert_one_line(process(["predict", str(tmp_path / "x.wav"), "--model", str(tmp_path)]), "not a model folder")


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("torch", "train", ["train", "--corpus", "{voices}", "--protocol", "stratified-2", "--out", "{tmp}/run"]),
        ("sklearn", "train", ["train", "--corpus", "{voices}", "--protocol", "stratified-2", "--out", "{tmp}/run"]),
        ("matplotlib", "train", ["train", "--corpus", "{voices}", "--protocol", "stratified-2", "--out", "{tmp}/run"]),
        ("jinja2", "train", ["train", "--corpus", "{voices}", "--protocol", "stratified-2", "--out", "{tmp}/run"]),
        ("torch", "train", ["convert", "{tmp}/x.pth", "--to", "{tmp}/model"]),
        ("onnx", "train", ["convert", "{tmp}/x.pth", "--to", "{tmp}/model"]),
        ("matplotlib", "train", ["report", "{run}"]),
        ("jinja2", "train", ["report", "{run}"]),
        ("matplotlib", "train", ["compare", "{run}", "--out", "{tmp}/a.html"]),
        ("jinja2", "plot", ["report", "{run}/predictions.csv"]),
        ("matplotlib", "plot", ["timeline", "{clip}", "--model", "{run}/fold_0/last", "--plot", "{tmp}/a.svg"]),
        ("pyarrow", "batch", ["predict", "{clip}", "--model", "{run}/fold_0/last", "--out", "{tmp}/a.parquet"]),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, voices_dir: Path, small_run: Any, missing: str, extra: str, arguments: list[str]
) -> None:
    checkpoint = tmp_path / "x.pth"
    checkpoint.write_bytes(b"x")
    # Hide the package, as if it were not installed.
    program = (
        "import importlib.util, sys\n"
        f"class Absent:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {missing!r}: raise ModuleNotFoundError(name, name={missing!r})\n"
        "sys.meta_path.insert(0, Absent())\n"
        "found = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *rest: None if name == {missing!r} else found(name, *rest)\n"
        "from emocatcher.cli import main\nmain()\n"
    )
    clip = small_run.corpus.utterances[0].path
    places = {"tmp": tmp_path, "voices": voices_dir, "run": small_run.folder, "clip": clip}
    command = [sys.executable, "-c", program, *(argument.format(**places) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert list(tmp_path.iterdir()) == [checkpoint]
    assert f"[{extra}]'" in done.stderr
    assert len(without_notes(done.stderr)) == 1
