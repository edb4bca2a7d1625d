"""`export`: the ONNX file, and its comparison with the original."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

from emocatcher.models import model_folder, onnx_graphs
from emocatcher.recognition import recognizer
from emocatcher.recognition.parity import answers

Call = Callable[..., Any]
OURS, FLOAT, INT8 = "in Python", "exported", "with int8"


@pytest.fixture(scope="module")
def model(small_run: Any) -> Path:
    return Path(small_run.folder / "fold_0" / "last")


@pytest.fixture
def few_clips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the model's corpus, so that the comparison uses 24 synthetic clips."""
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path / "none"))
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "none"))


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the cells of the table by row name."""
    rows = {}
    for line in text.splitlines():
        for name in (INT8, FLOAT, OURS):
            if line.strip().startswith(f"{name} "):
                rows[name] = re.split(r"\s{2,}", line.strip().removeprefix(name).strip())
                break
    return rows


def metadata(path: Path) -> dict[str, str]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)


def assert_one_line(outcome: Any, *needed: str) -> None:
    assert (outcome.code, outcome.out) == (2, "")
    error = [line for line in outcome.err.splitlines() if not line.startswith("comparing: ")]
    assert len(error) == 1
    assert error[0].startswith("Error: ")
    for text in needed:
        assert text in error[0]


@pytest.mark.parametrize("waveform", [False, True])
def test_it_writes_the_file_and_reports_the_cost_of_int8(
    call: Call, model: Path, voices_dir: Path, small_run: Any, tmp_path: Path, waveform: bool
) -> None:
    to = tmp_path / "new" / "small.onnx"
    flags = ["--waveform"] if waveform else []
    outcome = call("export", model, "--to", to, "--int8", "--corpus", voices_dir, *flags)
    assert outcome.code == 0, outcome.err
    opened = model_folder.read(model)
    assert to.read_bytes() == onnx_graphs.as_onnx(opened, waveform=waveform, int8=True)
    assert json.loads(metadata(to)["labels"]) == list(opened.config.labels)
    n_clips = len(small_run.protocol.folds[0].test)
    assert outcome.out.startswith(f"{opened.config.name} on the {n_clips} test clips of ")
    assert "stratified-2, fold 0" in outcome.out.splitlines()[0]
    rows = rows_of(outcome.out)
    assert list(rows) == [OURS, FLOAT, INT8]
    assert rows[INT8][0] == f"{to.stat().st_size / 1000:,.0f} kB"
    assert float(rows[FLOAT][3]) <= 1e-3
    assert rows[FLOAT][4] == f"{n_clips} of {n_clips}"
    # The run's own score on the same test part.
    result = json.loads((small_run.folder / "result.json").read_text())["folds"][0]["selected"]
    assert rows[OURS][-1] == rows[FLOAT][-1] == f"{result['accuracy']:.2%}"
    sentence = next(line for line in outcome.out.splitlines() if line.startswith("int8 "))
    found = re.fullmatch(
        r"int8 (costs|gains) (no|[\d.]+ points of) accuracy: (\d+) of (\d+) clips are correct, (as|\d+) without it; "
        r"(\d+) gets? another label",
        sentence,
    )
    assert found, sentence
    _, points, n_after, of, n_before, n_changed = found.groups()
    n_right = round(result["accuracy"] * n_clips)
    assert int(of) == n_clips
    assert int(n_after if n_before == "as" else n_before) == n_right
    assert (points == "no") == (n_before == "as") == (int(n_after) == n_right)
    assert rows[INT8][-1] == f"{int(n_after) / n_clips:.2%}"
    assert rows[INT8][4] == f"{n_clips - int(n_changed)} of {n_clips}"
    assert outcome.out.splitlines()[-1] == f"Model: {to} ({INT8}, {rows[INT8][0]})"


@pytest.mark.parametrize("cost", [-1, 0, 1])
def test_the_cost_of_int8_is_a_loss_a_gain_or_nothing(cost: int) -> None:
    from emocatcher.cli.export import _cost

    one_hot = np.eye(2)
    before, after = one_hot[[0, 0, 1, 1]], one_hot[[0, 0, 1, 1]]
    true = np.array([0, 0, 1, 1])
    (after if cost > 0 else before)[0] = one_hot[1] if cost else one_hot[0]
    outcome = {name: answers.Answers(rows, np.zeros((4, 2)), 1.0) for name, rows in ((FLOAT, before), (INT8, after))}
    assert (
        _cost(outcome, true)
        == {
            -1: "int8 gains 25.00 points of accuracy: 4 of 4 clips are correct, 3 without it; 1 gets another label",
            0: "int8 costs no accuracy: 4 of 4 clips are correct, as without it; 0 get another label",
            1: "int8 costs 25.00 points of accuracy: 3 of 4 clips are correct, 4 without it; 1 gets another label",
        }[cost]
    )


def test_without_held_out_clips_there_is_no_accuracy(call: Call, model: Path, tmp_path: Path, few_clips: None) -> None:
    to = tmp_path / "m.onnx"
    outcome = call("export", model, "--to", to, "--waveform", "--int8")
    assert outcome.code == 0, outcome.err
    assert "24 synthetic clips" in outcome.out.splitlines()[0]
    assert "%" not in outcome.out
    assert re.search(
        r"^int8: \d+ of 24 clips gets? another label; .*cannot show the cost in accuracy", outcome.out, re.MULTILINE
    )
    assert re.search(r"^Note: the model's own corpus is not available .*--corpus", outcome.out, re.MULTILINE)


def test_clips_limits_the_comparison(call: Call, model: Path, tmp_path: Path, few_clips: None) -> None:
    outcome = call("export", model, "--to", tmp_path / "m.onnx", "--clips", "3")
    assert outcome.code == 0
    assert " on 3 synthetic clips" in outcome.out
    assert "3 of 3" in outcome.out


def test_the_output_does_not_mention_flags_that_were_not_given(
    call: Call, model: Path, tmp_path: Path, few_clips: None
) -> None:
    to = tmp_path / "m.onnx"
    outcome = call("export", model, "--to", to)
    assert outcome.code == 0, outcome.err
    assert "int8" not in outcome.out
    assert list(rows_of(outcome.out)) == [OURS, FLOAT]
    assert to.read_bytes() == onnx_graphs.as_onnx(model_folder.read(model))


def test_the_default_is_the_bundled_model(call: Call, tmp_path: Path, few_clips: None) -> None:
    folder = model_folder.bundled()
    if folder is None:
        pytest.skip("no model comes with this checkout")
    outcome = call("export", "--to", tmp_path / "m.onnx", "--waveform")
    assert outcome.code == 0, outcome.err
    assert json.loads(metadata(tmp_path / "m.onnx")["labels"]) == list(model_folder.read(folder).config.labels)


def test_an_existing_file_is_replaced_only_with_overwrite(
    call: Call, model: Path, tmp_path: Path, few_clips: None
) -> None:
    to = tmp_path / "m.onnx"
    to.write_text("mine")
    assert_one_line(call("export", model, "--to", to), "exists already", "--overwrite")
    assert to.read_text() == "mine"
    assert call("export", model, "--to", to, "--overwrite").code == 0
    assert to.read_bytes() == onnx_graphs.as_onnx(model_folder.read(model))


@pytest.mark.parametrize(
    ("to", "needed"),
    [
        ("folder", ["is a folder"]),
        ("m.bin", ["m.bin", "does not end with .onnx"]),
        ("file.txt/m.onnx", ["file.txt", "is not a folder"]),
        ("file.txt/deeper/m.onnx", ["is not a folder"]),
        ("a" * 300 + ".onnx", ["cannot be written"]),
    ],
)
def test_an_unwritable_path_is_refused_before_the_comparison(
    call: Call, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, needed: list[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("mine")
    monkeypatch.setattr(answers, "compare", None)  # not called
    assert_one_line(call("export", model, "--to", tmp_path / to, "--overwrite"), *needed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder"]


def test_a_full_disk_is_one_line(
    call: Call, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_clips: None
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emocatcher.foundation.atomic_files.write_bytes", full)
    assert_one_line(call("export", model, "--to", tmp_path / "m.onnx"), "No space left on device", "m.onnx")


@pytest.mark.parametrize("part", [model_folder.ONNX, model_folder.CONFIG])
def test_a_part_of_a_model_folder_is_never_replaced(call: Call, model: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    outcome = call("export", folder, "--to", folder / part, "--int8", "--overwrite")
    assert_one_line(outcome, "part of a model folder")
    recognizer.load(folder)  # the model still loads


def test_a_missing_model_is_one_line(call: Call, tmp_path: Path) -> None:
    assert_one_line(call("export", tmp_path / "none", "--to", tmp_path / "m.onnx"), "No model", "none")
    assert_one_line(call("export", tmp_path, "--to", tmp_path / "m.onnx"), "not a model folder")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_corpus_is_one_line(call: Call, model: Path, tmp_path: Path) -> None:
    outcome = call("export", model, "--to", tmp_path / "m.onnx", "--corpus", tmp_path / "none.csv")
    assert_one_line(outcome, "none.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [False, True])
def test_a_graph_that_differs_from_the_model_is_not_written(
    call: Call, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_clips: None, there: bool
) -> None:
    def other_temperature(opened: Any, **options: Any) -> bytes:
        return onnx_graphs.to_waveform_onnx(opened.weights(), msgspec.structs.replace(opened.config, temperature=9.0))

    monkeypatch.setattr(onnx_graphs, "as_onnx", other_temperature)
    to = tmp_path / "m.onnx"
    if there:
        to.write_text("mine")
    outcome = call("export", model, "--to", to, "--waveform", "--overwrite")
    assert_one_line(outcome, "differs", "Nothing was written", "report it")
    assert to.read_text() == "mine" if there else not to.exists()
    assert len(list(tmp_path.iterdir())) == there


def test_a_missing_extra_is_named(model: Path, tmp_path: Path) -> None:
    program = "import sys\nsys.modules['onnx'] = None\nfrom emocatcher.cli import main\nmain()\n"
    command = [sys.executable, "-c", program, "export", str(model), "--to", str(tmp_path / "m.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("Error: ")
    assert "[export]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
