"""`train`, killed at random moments and resumed with `--resume`."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import kill_at_lines, wait_until_gone


@pytest.mark.slow
def test_a_killed_and_resumed_run_gives_the_same_weights(
    process: Callable[..., Any], voices_dir: Path, tmp_path: Path, small_network: tuple[str, ...]
) -> None:
    settings = ["--no-audit", *(word for setting in small_network for word in ("--set", setting))]
    arguments = ["train", "--corpus", str(voices_dir), "--protocol", "stratified-2", "--epochs", "30", *settings]
    assert process([*arguments, "--out", str(tmp_path / "unbroken")]).code == 0
    command = [sys.executable, "-m", "emocatcher", *arguments, "--out", str(tmp_path / "broken"), "--resume"]
    for n_epochs in sorted(random.Random(1).sample(range(1, 50), 2)):  # of 60 in both folds
        kill_at_lines(command, tmp_path / "broken" / "metrics.jsonl", n_epochs)
    done = process([*arguments, "--out", str(tmp_path / "broken"), "--resume"])
    assert done.code == 0, done.err
    names = [f"fold_{fold}/{kind}/model.safetensors" for fold in (0, 1) for kind in ("last", "best")]
    for name in (*names, "predictions.csv", "split.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name


@pytest.mark.slow
def test_ctrl_c_exits_without_a_traceback_or_orphans(
    voices_dir: Path, tmp_path: Path, small_network: tuple[str, ...]
) -> None:
    settings = [argument for setting in small_network for argument in ("--set", setting)]
    arguments = ["train", "--corpus", str(voices_dir), "--protocol", "stratified-2", "--epochs", "5000", *settings]
    command = [sys.executable, "-m", "emocatcher", *arguments, "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("run/fold_*/resume/*.safetensors")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does with Ctrl-C
        _, err = running.communicate(timeout=60)
    assert running.returncode not in (0, 2)
    assert "Traceback" not in err
    wait_until_gone(running.pid)
