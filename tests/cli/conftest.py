"""Fixtures: run the command line in this process or in a subprocess; one complete training run."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from emocatcher.cli import main
from emocatcher.corpora.table import Corpus


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class TrainedRun(NamedTuple):
    table: Path  # of the user's recordings
    folder: Path
    outcome: Outcome


def without_notes(err: str) -> list[str]:
    """The lines of stderr but the notes, such as on files that are left out of a corpus."""
    return [line for line in err.splitlines() if not line.startswith("Note: ")]


def as_process(arguments: Sequence[str], cwd: Path | None = None) -> Outcome:
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}}
    command = [sys.executable, "-m", "emocatcher", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, cwd=cwd, env=environment)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(group: int) -> None:
    end = time.monotonic() + 30
    while not group_is_gone(group):
        assert time.monotonic() < end, "workers outlive the process that started them"
        time.sleep(0.05)


def kill_at_lines(command: list[str], written: Path, n_lines: int) -> None:
    """Run a command until it has written so many lines, kill it, and wait until its workers have noticed."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        end = time.monotonic() + 120
        while not written.exists() or written.read_bytes().count(b"\n") < n_lines:
            assert running.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end, f"{written} has fewer than {n_lines} lines"
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)  # only the main process
        running.wait()
    wait_until_gone(running.pid)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `emocatcher` with these arguments in this process."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["emocatcher", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        with pytest.raises(SystemExit) as exited:
            main()
        code = exited.value.code
        captured = capsys.readouterr()
        return Outcome(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def process() -> Callable[..., Outcome]:
    """Run `emocatcher` with these arguments in a subprocess, with piped output."""
    return as_process


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, voices: Corpus, voices_dir: Path, small_network: tuple[str, ...]
) -> TrainedRun:
    """One complete run of `emocatcher train` on a user's table with its own labels, speakers and split."""
    folder = tmp_path_factory.mktemp("cli")
    table = folder / "mine.csv"
    names = {"happy": "glad", "sad": "low", "angry": "cross", "neutral": "flat"}
    chosen = [utterance for utterance in voices if utterance.emotion in names]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker", "split"])
        for utterance in chosen:
            split = {"01": "test", "02": "valid"}.get(utterance.speaker or "", "train")
            path = os.path.relpath(utterance.path, folder)
            writer.writerow([path, names[utterance.emotion], utterance.speaker, split])
    settings = [argument for setting in small_network for argument in ("--set", setting)]
    outcome = as_process(
        ["train", "--corpus", "mine.csv", "--protocol", "manifest", "--out", "run", "--epochs", "3", *settings,
         "--set", "training.selection=best-valid", "--seed", "5", "--strict"],
        cwd=folder,
    )  # fmt: skip
    return TrainedRun(table, folder / "run", outcome)
