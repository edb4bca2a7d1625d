"""The command `convert`: corpora and predictions in the forms of others."""

import csv
import itertools
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocatcher.models import model_folder

pytest.importorskip("yaml", reason="needs the extra 'exchange'")

HEADER = ["path", "channel", "emotion", "probability", "probability_angry", "probability_sad", "arousal", "abstain"]
HEADER += ["warnings", "error", "message", "model", "model_version", "settled_on"]


@pytest.fixture
def mine(tmp_path):
    """A table of twelve recordings of six speakers."""
    lines = ["path,label,speaker"]
    for number in range(12):
        path = tmp_path / "clips" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.full(1600, 0.1 * number, np.float32), 16_000)
        lines.append(f"clips/{number}.wav,{('angry', 'sad')[number % 2]},s{number // 2}")
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "mine.csv"


@pytest.mark.parametrize("kind", ["audformat", "datasets", "parquet", "audiofolder"])
def test_a_corpus_is_written_in_each_form_with_its_folds_and_shown_again(call, mine, tmp_path, kind):
    if kind in ("datasets", "parquet"):
        pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    out = tmp_path / "out"
    code, said, _ = call("convert", mine, "--to", out, "--as", kind, "--protocol", "speakers-3")
    assert code == 0
    assert said.startswith(f"12 recordings, written to {out}. Read them with")
    code, said, _ = call("corpora", out)
    assert code == 0
    for line in ("Recordings", "angry: 6", "sad: 6", "1 column is not used: fold", f"emocatcher check {out}"):
        assert line in said
    code, said, _ = call("check", out)
    assert (code, said.split(":")[1].split()[0]) == (0, "12")


def test_predictions_are_written_as_a_table_of_audformat(call, tmp_path):
    rows = [
        ["calls/a.wav", "", "angry", 0.75, 0.75, 0.25, 3.5, "false", "", "", "", "emocatcher-3", "0.1", 0],
        ["calls/deep/b.wav", "", "", 0.0, "", "", "", "true", "no-speech", "", "", "emocatcher-3", "0.1", 0],
        ["calls/c.wav", "", "", "", "", "", "", "", "", "DecodeError", "broken", "", "", ""],
    ]
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    out = tmp_path / "out"
    code, said, _ = call("convert", tmp_path / "answers.csv", "--to", out, "--as", "audformat", "--root", ".")
    assert code == 0
    assert said.startswith("3 predictions")
    found = list(csv.DictReader((out / "db.emotion.csv").read_text().splitlines()))
    assert [row["file"] for row in found] == ["calls/a.wav", "calls/deep/b.wav", "calls/c.wav"]
    assert (found[0]["emotion"], found[0]["probability_angry"], found[0]["arousal"]) == ("angry", "0.75", "3.5")
    assert (found[1]["emotion"], found[1]["warnings"]) == ("", "no-speech")
    assert found[2]["error"] == "DecodeError"
    assert "- sad" in (out / "db.yaml").read_text()


@pytest.mark.parametrize(("cell", "code"), [("nan", 0), ("1e999", 2), ("many", 2)])
def test_a_number_of_a_prediction_is_finite_or_empty(call, tmp_path, cell, code):
    (tmp_path / "answers.csv").write_text(f"path,emotion,probability,abstain,settled_on\na.wav,sad,0.5,false,{cell}\n")
    done = call("convert", tmp_path / "answers.csv", "--to", tmp_path / "out", "--as", "audformat")
    assert done.code == code
    assert ("row 2: settled_on is" in done.err) == bool(code)


def test_windows_of_a_timeline_are_segments(call, tmp_path):
    (tmp_path / "windows.csv").write_text(
        "path,start_s,end_s,time_s,speech,emotion,probability,probability_angry\n"
        "a.wav,0,2,1,true,angry,0.5,0.5\na.wav,2,4,3,false,,,\n"
    )
    assert call("convert", tmp_path / "windows.csv", "--to", tmp_path / "out", "--as", "audformat")[0] == 0
    found = list(csv.DictReader((tmp_path / "out" / "db.emotion.csv").read_text().splitlines()))
    assert [(row["file"], row["start"], row["end"]) for row in found] == [
        ("a.wav", "0 days 00:00:00.000000000", "0 days 00:00:02.000000000"),
        ("a.wav", "0 days 00:00:02.000000000", "0 days 00:00:04.000000000"),
    ]


def test_wrong_options_are_refused_before_anything_is_written(call, mine, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    twice = "a.wav,sad,0.5,false\n" * 2
    (tmp_path / "answers.csv").write_text(f"path,emotion,probability,abstain\n{twice}")
    for words, message in (
        ((mine, "--to", tmp_path / "out"), "Give --as audformat"),
        ((mine, "--to", tmp_path / "out", "--as", "audfromat"), "Did you mean 'audformat'"),
        ((mine, "--to", tmp_path / "full", "--as", "audformat"), "is not an empty folder"),
        ((mine, "--to", tmp_path / "out", "--as", "audformat", "--root", tmp_path), "--root is for a table of pred"),
        ((mine, "--to", tmp_path / "out", "--as", "audformat", "--protocol", "speakers-9"), "has 9 folds"),
        ((tmp_path / "answers.csv", "--to", tmp_path / "out", "--as", "audformat"), "has several rows"),
        ((tmp_path / "answers.csv", "--to", tmp_path / "out", "--as", "audiofolder"), "is written as audformat"),
        ((tmp_path / "answers.csv", "--to", tmp_path / "out", "--root", tmp_path / "full"), "Give another --root"),
    ):
        code, _, said = call("convert", *words)
        assert code == 2
        assert message in said
        assert len(said.splitlines()) == 1
        assert not (tmp_path / "out").exists()
    assert "emocatcher convert answers.csv" in call("predict", mine, "--format", "audformat")[2]


def test_the_current_folder_is_refused_because_it_cannot_be_replaced(call, mine, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, _, said = call("convert", mine, "--to", ".", "--as", "audformat")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "Give a new one to --to" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_audformat_loads_the_predictions(call, tmp_path):
    audformat = pytest.importorskip("audformat", reason="needs audformat: pip install audformat")
    rows = [[f"calls/{n}.wav", "", "angry", 0.7, 0.7, 0.3, "", "false", "", "", "", "m", "1", 0] for n in range(3)]
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    call("convert", tmp_path / "answers.csv", "--to", tmp_path / "out", "--as", "audformat", "--root", "calls")
    table = audformat.Database.load(str(tmp_path / "out"))["emotion"]
    assert list(table.df.index) == ["0.wav", "1.wav", "2.wav"]
    assert set(table.df["emotion"]) == {"angry"}
    assert not table.df["abstain"].any()
    assert table.columns["emotion"].rater.type == "machine"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_commands_of_the_page_on_exchange_run(call, mine, tmp_path, monkeypatch):
    """All but those that train, or publish: `train` reads a corpus as `check` does, and `push` has tests of its own."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    page = Path(__file__).parents[2].joinpath("docs", "exchange.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    mine.rename("my.csv")
    call("convert", "my.csv", "--to", "downloads/a-dataset", "--as", "datasets")
    call("convert", "my.csv", "--to", "downloads/a-database", "--as", "audformat")
    shutil.copytree("clips", "calls")
    shutil.copytree(model_folder.bundled("cabg"), "models/mine")
    blocks = re.findall(r"^```\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line) for line in "".join(blocks).splitlines()]
    run = [words[1:] for words in lines if words[1] != "train" and "owner/mine" not in words[3:] + words[-1:]]
    assert len(run) >= 8
    run.append(["push", "models/mine", "owner/mine", "--dry-run"])
    run.append(["check", "downloads/a-database/db.emotion.csv"])
    for words in run:
        done = call(*words)
        assert done.code == 0, (words, done.err)
        for option, path in itertools.pairwise(words):
            assert option not in ("--to", "--out") or Path(path).exists()
