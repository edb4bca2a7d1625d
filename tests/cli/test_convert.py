"""The command `convert`: corpora and predictions in the forms of others."""

import csv

import numpy as np
import pytest
import soundfile

pytest.importorskip("yaml", reason="needs the extra 'exchange'")

HEADER = ["path", "channel", "emotion", "probability", "probability_angry", "probability_sad", "arousal", "abstain"]
HEADER += ["warnings", "error", "message", "model", "model_version", "settled_on"]


@pytest.fixture
def mine(tmp_path):
    """A table of six recordings of three speakers."""
    lines = ["path,label,speaker"]
    for number in range(6):
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
    assert said.startswith(f"6 recordings, written to {out}. Read them with")
    code, said, _ = call("corpora", out)
    assert code == 0
    for line in ("Recordings", "angry: 3", "sad: 3", "1 column is not used: fold", f"emocatcher check {out}"):
        assert line in said
    code, said, _ = call("check", out)
    assert (code, said.split(":")[1].split()[0]) == (0, "6")


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
