"""The training's side of tracking: several runs at a time, and trackers that are slow or fail."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.training import experiment
from emocatcher.training.tracking import tracked, tracker_process, trainings
from emocatcher.training.tracking.messages import Finish, Start
from emocatcher.training.tracking.targets import Target
from emocatcher.training.tracking.tracked import Tracked

pytest.importorskip("tensorboard", reason="needs TensorBoard: see docs/tracking.md")

StandIn: TypeAlias = Callable[[Callable[[Connection], None]], None]


def answer_all(connection: Connection, reason: str) -> None:
    while connection.recv() is not None:
        connection.send(reason)
    connection.send("")


def test_the_runs_of_several_seeds_are_a_group_and_end_at_the_same_time(stand_in: StandIn, run: Path) -> None:
    everyone_ends = threading.Barrier(3)
    names: set[tuple[str, str]] = set()

    def answer(connection: Connection) -> None:
        while (received := connection.recv()) is not None:
            names.update((one.name, one.group) for one in received if isinstance(one, Start))
            reason = ""
            if any(isinstance(one, Finish) for one in received):
                try:
                    everyone_ends.wait(5)
                except threading.BrokenBarrierError:
                    reason = "the others wait"
            connection.send(reason)
        connection.send("")

    stand_in(answer)
    folders = {seed: run.parent / "mine" / f"seed-{seed}" for seed in range(3)}
    for folder in folders.values():
        shutil.copytree(run, folder)
    shown: list[experiment.Progress] = []
    with trainings.track_seeds("tensorboard:board", folders, shown.append):
        pass
    assert not shown
    assert names == {(f"mine-seed-{seed}", "mine") for seed in range(3)}


def test_one_server_that_fails_for_several_seeds_is_named_once(stand_in: StandIn, run: Path) -> None:
    stand_in(lambda connection: answer_all(connection, "refused"))
    shown: list[experiment.Progress] = []
    folders = {seed: shutil.copytree(run, run.parent / "mine" / str(seed)) for seed in range(3)}
    with trainings.track_seeds("tensorboard:board", folders, shown.append):
        pass
    assert [step.warning.partition(". ")[0] for step in shown] == ["TensorBoard at board does not work: refused"]


def test_a_server_that_is_too_slow_at_the_end_is_named(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracked, "IMPORT_S", 0.1)
    monkeypatch.setattr(tracked, "ANSWER_S", 0.1)

    def answer(connection: Connection) -> None:
        connection.recv()
        while True:
            connection.send(tracker_process.ALIVE)
            time.sleep(0.01)

    stand_in(answer)
    notes: list[str] = []
    before = threading.active_count()
    with Tracked(Target("tensorboard", "board"), None, notes.append) as one:
        one.start("", "mine", {})
    (note,) = notes
    assert "it is slow, and not everything was sent within 0.3 s" in note
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_training_that_is_stopped_does_not_wait_for_a_slow_server(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked, "IMPORT_S", 1.0)
    monkeypatch.setattr(tracked, "STOPPED_S", 0.1)
    asked = threading.Event()

    def answer(connection: Connection) -> None:
        connection.recv()
        asked.set()
        time.sleep(1.0)

    stand_in(answer)
    notes: list[str] = []
    with contextlib.suppress(KeyboardInterrupt), Tracked(Target("tensorboard", "board"), None, notes.append) as one:
        one.start("", "mine", {})
        assert asked.wait(5)
        stopped_at = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - stopped_at < 0.8
    assert not notes


def test_a_training_goes_on_without_the_file_of_its_epochs(stand_in: StandIn, run: Path) -> None:
    """`append_epoch` ignores a full disk, too."""
    stand_in(lambda connection: answer_all(connection, ""))
    (line, *_) = (run / "metrics.jsonl").read_bytes().splitlines()
    epoch = msgspec.json.decode(line, type=Epoch)
    (run / "metrics.jsonl").unlink()
    shown: list[experiment.Progress] = []
    with trainings.track_run("tensorboard", run, shown.append) as watch:
        watch(experiment.Progress(stage="training", done=1, total=24, epoch=epoch))
    assert shown[0].epoch == epoch
