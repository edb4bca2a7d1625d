"""Runs, sweeps and adaptations are tracked by the real libraries in local folders; trackers that fail do no harm."""

import contextlib
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emocatcher.evaluation import protocols
from emocatcher.evaluation.scoring.adaptation import Adaptation, Step
from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.foundation.errors import MissingExtraError, SettingError
from emocatcher.foundation.settings import load_preset
from emocatcher.models.model_folder import ModelConfig, Training
from emocatcher.training import experiment
from emocatcher.training.sweep import plan as plans
from emocatcher.training.tracking import targets, tracked, trainings
from emocatcher.training.tracking.messages import Finish, Start, Values
from emocatcher.training.tracking.targets import Target, parse
from emocatcher.training.tracking.tracker_process import STATE, Sender

from ...conftest import InProcess


def needs(kind: str) -> Any:
    name, module = targets.KINDS[kind]
    return pytest.mark.skipif(find_spec(module) is None, reason=f"needs {name}: see docs/tracking.md")


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of a folder of TensorBoard, as (step, value), by its sub-folder and name, each as often as it is."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.rglob("events.out.*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    name = f"{file.parent.relative_to(folder)}/{value.tag}".removeprefix("./")
                    found.setdefault(name, []).append((event.step, float(tensor_util.make_ndarray(value.tensor))))
    return found


def messages(n_epochs: int) -> list[Any]:
    start = Start(run="", name="mine", settings={"seed": 0, "network.kind": "cabg"})
    curve = [
        Values(run="", curve="fold_0", epoch=n, values={"train_loss": 1 / n}, at_s=1e9 + n)
        for n in range(1, n_epochs + 1)
    ]
    return [start, *curve]


def epochs_of(run: Path) -> list[Epoch]:
    return [msgspec.json.decode(line, type=Epoch) for line in (run / "metrics.jsonl").read_bytes().splitlines()]


def track_again(track: str, run: Path, notes: list[str]) -> float:
    """Track the run in a folder as if it were training now; return how long the end took, seconds."""
    epochs = epochs_of(run)
    steps = [
        experiment.Progress(stage="training", done=n, total=len(epochs), epoch=one) for n, one in enumerate(epochs)
    ]
    shown: list[experiment.Progress] = []
    with trainings.track_run(track, run, shown.append) as watch:
        for step in steps:
            watch(step)
        ended = time.monotonic()
    assert [step for step in shown if not step.warning] == steps
    notes += [step.warning for step in shown if step.warning]
    return time.monotonic() - ended


def interrupt(track: str, run: Path) -> None:
    """Track half of the epochs of a run."""
    with contextlib.suppress(KeyboardInterrupt), trainings.track_run(track, run, lambda _: None) as watch:
        for n, one in enumerate(epochs_of(run)[:15]):
            watch(experiment.Progress(stage="training", done=n, total=24, epoch=one))
        raise KeyboardInterrupt


def test_the_argument_names_a_tracker_and_a_place(tmp_path: Path) -> None:
    for kind in targets.KINDS:
        if find_spec(targets.KINDS[kind][1]):
            assert parse(kind, tmp_path).kind == kind
    assert parse("tensorboard:a/b", tmp_path) == Target("tensorboard", "a/b")
    assert parse("tensorboard", tmp_path).where == str(tmp_path / "tensorboard")
    with pytest.raises(SettingError, match=r"Unknown tracker 'tensorbord'\. Did you mean 'tensorboard'\?"):
        parse("tensorbord", tmp_path)
    with pytest.raises(SettingError, match=r"https://host/x.* is an address") as error:
        parse("tensorboard:https://me:secret@host/x?key=secret", tmp_path)
    assert "secret" not in str(error.value)
    assert "secret" not in str(Target("mlflow", "https://me:secret@host/x?key=secret"))


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="Tracking with MLflow needs the extra 'mlflow'"):
        parse("mlflow", tmp_path)


@needs("tensorboard")
def test_a_continued_run_gets_each_point_once(tmp_path: Path) -> None:
    target = Target("tensorboard", str(tmp_path / "board"))
    for n_epochs in (2, 3):
        sender = Sender(target, tmp_path)
        sender.send(messages(n_epochs))
        sender.tracker.close()
    sender = Sender(target, tmp_path)
    sender.send([*messages(3), Finish(run="", epoch=3, results={"accuracy": 0.5})])
    sender.tracker.close()
    (of_run,) = (tmp_path / "board").iterdir()  # one run, with a name of its own, because the folder may be shared
    assert of_run.name.startswith("mine-")
    found = points(of_run)
    assert found == {
        "fold_0/train_loss": [(n, pytest.approx(1 / n)) for n in (1, 2, 3)],
        "result/accuracy": [(3, 0.5)],
    }


@needs("tensorboard")
def test_a_sender_that_is_ended_in_between_has_noted_its_run(tmp_path: Path) -> None:
    """A slow server needs long for many epochs: the limit is for each message, and the run is known from the first."""
    known: list[bytes] = []
    sender = Sender(Target("tensorboard", str(tmp_path / "board")), tmp_path)
    sender.send(messages(3), on_sent=lambda: known.append((tmp_path / STATE).read_bytes()))
    sender.tracker.close()
    assert len(known) == 4
    (run,) = (tmp_path / "board").iterdir()
    assert run.name.encode() in known[0]


@needs("tensorboard")
def test_what_fails_in_between_is_sent_again_from_there(tmp_path: Path) -> None:
    """The folder of the curve is a file at first."""
    target = Target("tensorboard", str(tmp_path / "board"), is_shared=False)
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "fold_0").write_bytes(b"")
    sender = Sender(target, tmp_path)
    with pytest.raises(OSError, match="fold_0"):
        sender.send(messages(2))
    (tmp_path / "board" / "fold_0").unlink()
    sender.send(messages(2))
    sender.tracker.close()
    assert points(tmp_path / "board") == {"fold_0/train_loss": [(1, 1.0), (2, 0.5)]}


@needs("tensorboard")
def test_settings_whose_names_are_the_same_folder_are_not_mixed(tmp_path: Path) -> None:
    for n_epochs in (1, 2):  # a resumed sweep finds the same folders
        sender = Sender(Target("tensorboard", str(tmp_path / "board"), is_shared=False), tmp_path)
        for number, name in enumerate(("a/b", "a:b"), start=1):
            sender.send([Start(run=name, name=name)])
            for epoch in range(1, n_epochs + 1):
                values = {"train_loss": 1.0 * number}
                sender.send([Values(run=name, curve="c", epoch=epoch, values=values, at_s=1e9)])
        sender.tracker.close()
    assert {name: sorted(curve) for name, curve in points(tmp_path / "board").items()} == {
        "a_b/c/train_loss": [(1, 1.0), (2, 1.0)], "a_b_/c/train_loss": [(1, 2.0), (2, 2.0)],
    }  # fmt: skip


@needs("tensorboard")
def test_a_run_has_curves_settings_figures_and_its_result_in_tensorboard(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    notes: list[str] = []
    track_again("tensorboard", run, notes)
    assert not notes
    found = points(run / "tensorboard")
    for fold in (0, 1):
        losses = [(one.epoch, pytest.approx(one.train_loss)) for one in epochs_of(run) if one.fold == fold]
        assert found[f"fold_{fold}/train_loss"] == losses
    result = msgspec.json.decode((run / "result.json").read_bytes())
    assert found["result/accuracy"] == [(12, pytest.approx(result["mean"]["selected"]["accuracy"]))]
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    (picture,) = board.Images("figures/curves")
    assert picture.encoded_image_string == (run / "figures" / "curves.png").read_bytes()
    assert (picture.width, picture.height) == (3, 1)
    (text,) = board.Tensors("settings")
    assert b"optimiser.learning_rate = 0.001" in text.tensor_proto.string_val[0]
    assert "_hparams_/session_start_info" in board.PluginTagToContent("hparams")


@pytest.mark.slow
@needs("tensorboard")
def test_a_tracker_that_fails_is_noted_once_and_the_rest_goes_on(run: Path) -> None:
    (run / "tensorboard").write_bytes(b"")  # a file, where a folder would be
    notes: list[str] = []
    track_again("tensorboard", run, notes)
    (note,) = notes
    assert note.startswith(f"TensorBoard at {run / 'tensorboard'} does not work: ")
    assert "The training goes on" in note
    assert "--resume" in note
    # When it works again, the same command sends everything.
    (run / "tensorboard").unlink()
    track_again("tensorboard", run, notes)
    assert len(notes) == 1
    assert len(points(run / "tensorboard")["fold_1/test_accuracy"]) == 12


@pytest.fixture
def server() -> Iterator[Callable[[str], int]]:
    """A function that opens a port on this machine that answers nothing, or that refuses."""
    with contextlib.ExitStack() as stack:

        def listen(kind: str) -> int:
            listener = socket.socket()
            stack.enter_context(listener)
            listener.bind(("127.0.0.1", 0))
            if kind == "silent":
                listener.listen(50)  # the system accepts
            return int(listener.getsockname()[1])

        yield listen


@pytest.mark.slow
@needs("mlflow")
@pytest.mark.parametrize(("kind", "why"), [("silent", "no answer within 2 s"), ("refusing", "ConnectionRefusedError")])
def test_a_dead_server_neither_stops_nor_slows_a_training(
    run: Path, server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, kind: str, why: str
) -> None:
    monkeypatch.setattr(tracked, "ANSWER_S", 2.0)
    notes: list[str] = []
    threads = threading.active_count()
    began = time.monotonic()
    longest = track_again(f"mlflow:http://me:geheim@127.0.0.1:{server(kind)}", run, notes)
    assert time.monotonic() - began < longest + 1.0  # no epoch waited
    assert longest < 45.0  # the end waits for the answer that is due, and for the library's import
    (note,) = notes
    assert note.startswith("MLflow at http://127.0.0.1:")
    assert why in note
    assert "geheim" not in note
    state = run / STATE
    assert not state.exists() or "geheim" not in state.read_text()
    assert threading.active_count() == threads


@pytest.mark.slow
@needs("mlflow")
def test_a_run_is_tracked_by_mlflow_and_continued(run: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    result, store = (run / "result.json").read_bytes(), tmp_path / "mlruns"
    interrupt(f"mlflow:{store}", run)
    track_again(f"mlflow:{store}", run, notes)
    assert not notes
    assert (run / "result.json").read_bytes() == result
    (artefacts,) = store.rglob("artifacts/")
    folder = artefacts.parent
    lines = (folder / "metrics" / "test_accuracy" / "fold_1").read_text().splitlines()
    assert [int(line.split()[2]) for line in lines] == list(range(1, 13))  # each epoch once
    assert (folder / "params" / "optimiser.learning_rate").read_text() == "0.001"
    assert {one.relative_to(artefacts).as_posix() for one in artefacts.rglob("*.*")} == {
        "config.toml", "result.json", "figures/curves.png",
    }  # fmt: skip
    assert "status: 3" in (folder / "meta.yaml").read_text()  # finished
    assert sum(path.name == "artifacts" for path in store.rglob("artifacts")) == 1


@pytest.mark.slow
@needs("trackio")
def test_a_run_is_tracked_by_trackio_and_continued(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    notes: list[str] = []
    interrupt("trackio:voices", run)
    track_again("trackio:voices", run, notes)
    assert not notes
    with contextlib.closing(sqlite3.connect(tmp_path / "trackio" / "voices.db")) as database:
        rows = database.execute("select run_name, step, metrics from metrics").fetchall()
        (config,) = database.execute("select config from configs").fetchone()
    assert len({name for name, *_ in rows}) == 1
    found = Counter((key, step) for _, step, values in rows for key in msgspec.json.decode(values))
    assert set(found.values()) == {1}
    assert {step for key, step in found if key == "train_loss/fold_1"} == set(range(1, 13))
    assert ("result/accuracy", 12) in found
    assert ("figures/curves", 12) in found
    assert msgspec.json.decode(config)["optimiser.learning_rate"] == 0.001


@pytest.mark.slow
@needs("tensorboard")
def test_a_tracked_run_has_the_same_weights_and_a_resumed_one_each_epoch_once(
    train_here: Callable[..., Any], voices: Any, small_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = msgspec.structs.replace(voices, utterances=voices.utterances[::3])
    untracked = train_here(tmp_path / "untracked", few, "stratified-2", small_settings).folder
    monkeypatch.setattr("emocatcher.training.fold_trainer._SAVE_EVERY_S", 1e9)  # a resumed fold repeats its epochs
    out = tmp_path / "run"

    def stop(step: Any) -> None:
        if step.epoch is not None and (step.epoch.fold, step.epoch.epoch) == (1, 2):
            raise KeyboardInterrupt

    for shown in (stop, lambda _: None):
        with contextlib.suppress(KeyboardInterrupt), trainings.track_run("tensorboard", out, shown) as watch:
            train_here(out, few, "stratified-2", small_settings, resume=True, on_progress=watch)
    for fold in ("fold_0", "fold_1"):
        weights = Path(fold) / "last" / "model.safetensors"
        assert (out / weights).read_bytes() == (untracked / weights).read_bytes()
        assert [step for step, _ in points(out / "tensorboard")[f"{fold}/test_loss"]] == [1, 2, 3]


@pytest.mark.slow
@needs("tensorboard")
def test_a_sweep_is_a_run_for_each_setting(
    voices: Any, small_network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emocatcher.training import sweep

    monkeypatch.setattr(sweep.engine, "TrainingPool", InProcess)

    file = plans.SweepFile(
        protocol="speakers-2", inner=2, set=(*small_network, "training.n_epochs=2"),
        setting=(plans.Named("a/b"), plans.Named("smoother", ("training.label_smoothing=0.3",))),
    )  # fmt: skip
    plan, out = plans.resolve(file, "a sweep"), tmp_path / "sweep"
    few = msgspec.structs.replace(voices, utterances=voices.utterances[::6])
    for resume in (False, True):  # a finished one changes nothing
        with trainings.track_sweep("tensorboard", plan, out, lambda _: None) as (watch, finish):
            ranking, _ = sweep.run(
                plan, few, protocols.load("speakers-2", few, 0), out, on_progress=watch, resume=resume
            )
            finish(ranking)
    found = points(out / "tensorboard")
    for setting in ("a_b", "smoother"):
        for split in (0, 1):
            curve = found[f"{setting}/fold_0_split_{split}_seed_0/train_loss"]
            assert [step for step, _ in curve] == [1, 2]
        (rank,) = found[f"{setting}/result/rank"]
        assert rank[1] in {1.0, 2.0}


@needs("tensorboard")
@pytest.mark.slow
def test_an_adaptation_is_tracked_with_its_steps(tmp_path: Path) -> None:
    steps = tuple(
        Step(name=name, unweighted_average_recall=value, interval=(0.1, 0.9), accuracy=value, log_loss=1 - value)
        for name, value in (("as it is", 0.4), ("a weak pull", 0.6))
    )
    config = ModelConfig(
        name="mine", version="1", labels=("a", "b"), settings=load_preset("cabg"), n_parameters=1,
        training=Training(
            corpus="c", licence="", protocol="p", fold=None, speakers_shared=None, selection="last", epoch=None, seed=0
        ),
        adaptation=Adaptation(
            model="m", model_sha256="", corpus="c", n_recordings=50, validated_by="speakers", steps=steps,
            chosen="a weak pull",
        ),
    )  # fmt: skip
    notes: list[str] = []
    for _ in range(2):  # each is a run of its own
        with trainings.track_adaptation("tensorboard", tmp_path, notes.append) as finish:
            finish(config)
    assert not notes
    first, second = sorted(one.name for one in (tmp_path / "tensorboard").iterdir())
    assert first != second
    found = points(tmp_path / "tensorboard" / first)
    assert found["unweighted_average_recall"] == [(1, pytest.approx(0.4)), (2, pytest.approx(0.6))]
    assert found["result/unweighted_average_recall_before"] == [(2, pytest.approx(0.4))]


def test_without_an_argument_nothing_is_written(tmp_path: Path) -> None:
    def show(_: object) -> None: ...

    with trainings.track_run(None, tmp_path, show) as watch:
        assert watch is show
    assert not list(tmp_path.iterdir())
