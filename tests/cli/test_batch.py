"""`predict` on many recordings: tables, pipes, interrupts."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher.models import model_folder


@pytest.fixture(scope="module")
def folder(small_run) -> str:
    return str(small_run.corpus.utterances[0].path.parent)


def test_a_folder_gives_a_table(call, folder, tmp_path):
    outcome = call("predict", folder, "--out", tmp_path / "out.jsonl")
    assert (outcome.code, outcome.out) == (0, "")
    assert "60/60 files" in outcome.err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == 60
    assert {row["model"] for row in rows} == {model_folder.BUNDLED}


def test_a_bad_file_gives_a_row_and_exit_code_1(call, folder, tmp_path):
    outcome = call("predict", folder, tmp_path / "none.wav", "--format", "csv")
    assert outcome.code == 1
    assert outcome.out.splitlines()[-1].startswith(f"{tmp_path / 'none.wav'},")
    assert "no such file" in outcome.out.splitlines()[-1]
    assert "1 of 61 recordings failed" in outcome.err


@pytest.mark.parametrize("name", ["none", "none/"])
def test_a_sole_name_under_which_nothing_is_writes_no_table(call, tmp_path, name):
    outcome = call("predict", f"{tmp_path}/{name}", "--out", tmp_path / "out.csv")
    assert (outcome.code, "no such file or folder" in outcome.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_resume_reports_failures_of_earlier_runs_and_retries_them_on_request(call, small_run, tmp_path):
    clip = small_run.corpus.utterances[0].path
    later, out = tmp_path / "later.wav", tmp_path / "out.csv"
    arguments = ("predict", clip, later, "--out", out)
    hint = f"1 of 2 recordings failed: see their rows. After fixing them: --resume --retry-failed --out {out}"
    for options in ((), ("--resume",), ("--resume", "--retry-failed")):
        outcome = call(*arguments, *options)
        assert outcome.code == 1
        assert hint in outcome.err
    later.write_bytes(clip.read_bytes())
    assert call(*arguments, "--resume").code == 1  # kept, as it is not asked for
    assert call(*arguments, "--resume", "--retry-failed").code == 0
    assert "no such file" not in out.read_text()
    assert call(*arguments, "--resume").code == 0
    assert "Give --resume too" in call(*arguments, "--retry-failed").err


def test_a_table_names_the_recordings(call, small_run, tmp_path):
    clips = [utterance.path for utterance in small_run.corpus.utterances[:2]]
    (tmp_path / "calls.csv").write_text("path,agent\n" + "".join(f"{clip},7\n" for clip in clips))
    outcome = call("predict", tmp_path / "calls.csv", "--format", "jsonl")
    assert outcome.code == 0
    assert [json.loads(line)["path"] for line in outcome.out.splitlines()] == [str(clip) for clip in clips]


def test_several_recordings_without_a_format_give_a_line_each(call, small_run):
    clips = [utterance.path for utterance in small_run.corpus.utterances[:3]]
    outcome = call("predict", *clips)
    assert outcome.code == 0
    assert [line.split()[-1] if "!" not in line else line for line in outcome.out.splitlines()]
    assert all(str(clip) in line for clip, line in zip(clips, outcome.out.splitlines(), strict=True))


def test_a_line_names_no_emotion_without_speech(call, small_run, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(22_050), 22_050)
    outcome = call("predict", tmp_path / "silence.wav", small_run.corpus.utterances[0].path)
    assert outcome.out.splitlines()[0].split()[:3] == ["no", "speech", str(tmp_path / "silence.wav")]


def test_file_names_are_read_from_a_pipe(small_run, tmp_path):
    clips = [str(utterance.path) for utterance in small_run.corpus.utterances[:3]]
    command = [sys.executable, "-m", "emocatcher", "predict", "-", "--format", "jsonl"]
    done = subprocess.run(command, input="\n".join(clips).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == clips


def test_resume_excludes_overwrite(call, folder, tmp_path):
    outcome = call("predict", folder, "--out", tmp_path / "t.csv", "--resume", "--overwrite")
    assert outcome.code == 2
    assert "--overwrite would replace" in outcome.err
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["{folder}", "--out", "out.xls"], "'xls' is not a format"),
        (["{folder}", "--format", "parquet"], "give --out"),
        (["{folder}", "--out", "{tmp}/t.csv", "--format", "jsonl"], "'t.csv' ends with .csv, and --format is jsonl"),
        (["{folder}", "--format", "csv", "--abstain-below", "2"], "0 to 1"),
        (["{folder}", "--format", "csv", "--abstain-below", "nan"], "0 to 1"),
        (["{folder}", "--out", "{tmp}"], "No format"),
        (["{folder}", "--out", "{tmp}/there.csv"], "exists: give --overwrite"),
        (["{folder}", "--out", "/dev/full", "--format", "csv"], "cannot be written"),
        (["*.none"], "matches no file"),
    ],
)
def test_an_error_is_one_line(call, folder, tmp_path, arguments, needed):
    (tmp_path / "there.csv").write_text("mine")
    outcome = call("predict", *(argument.format(folder=folder, tmp=tmp_path) for argument in arguments))
    assert outcome.code == 2
    assert needed in outcome.err
    assert outcome.err.count("\n") == 1
    assert (tmp_path / "there.csv").read_text() == "mine"


def start(recordings, out, *options):
    recordings = [recordings] if isinstance(recordings, str | Path) else recordings
    command = [sys.executable, "-m", "emocatcher", "predict", *map(str, recordings), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    process.communicate(timeout=300)
    assert process.returncode == 0


def test_ctrl_c_exits_cleanly_and_resume_completes_the_table(small_run, tmp_path):
    folder, out = tmp_path / "calls", tmp_path / "out.jsonl"
    folder.mkdir()
    for number in range(300):  # so many that it does not finish before the signal
        os.link(small_run.corpus.utterances[number % 60].path, folder / f"{number:03}.wav")
    process = start(folder, out)
    while not out.exists() or not out.read_bytes():
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"--resume" in err
    assert b"Traceback" not in err
    finish(start(folder, out, "--resume"))
    assert len(out.read_text().splitlines()) == 300


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize(("kind", "workers"), [("parquet", "1"), pytest.param("jsonl", "2", marks=pytest.mark.long)])
def test_a_table_killed_ten_times_is_identical_after_resume(ravdess_dir, tmp_path, kind, workers):
    recordings = sorted(ravdess_dir.rglob("03-01-*"))[::12]
    whole, killed = tmp_path / f"whole.{kind}", tmp_path / f"killed.{kind}"
    begun = time.monotonic()
    finish(start(recordings, whole, "--workers", workers))
    whole_s = time.monotonic() - begun
    dice, n_killed = random.Random(kind + workers), 0
    for _ in range(10):
        process = start(recordings, killed, "--workers", workers, "--resume")
        time.sleep(dice.uniform(0.1, 0.35) * whole_s)
        n_killed += process.poll() is None
        process.kill()
        process.communicate()
    assert n_killed >= 3
    finish(start(recordings, killed, "--workers", workers, "--resume"))
    if kind == "jsonl":
        assert killed.read_bytes() == whole.read_bytes()
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table(killed).equals(parquet.read_table(whole))


def test_load_without_a_name_gives_the_bundled_model():
    assert emocatcher.load().config.name == model_folder.BUNDLED
