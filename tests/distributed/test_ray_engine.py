"""Tests of `emocatcher.distributed.ray_engine`: the results of one machine, whatever is lost on the way."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emocatcher.distributed import cluster as clusters
from emocatcher.distributed.ray_engine import RayEngine, ray_engine
from emocatcher.foundation.errors import ClusterError, RunError, SettingError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import encoder_weights
from emocatcher.training import encoding, experiment
from emocatcher.training.dataset import load_features
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.fold import FoldTask

from ..conftest import InProcess
from ..models.encoder_folder import write_encoder

CPU, GPU = {"CPU": 1, "GPU": 0}, {"CPU": 1, "GPU": 0.5}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def same_run(one: Path, other: Path) -> None:
    """Assert that two run folders have the same answers, scores and weights; they differ in durations alone."""
    names = ["predictions.csv", "split.csv", "config.toml", "run.json", "features.sha256"]
    names += [str(path.relative_to(other)) for path in sorted(other.glob("fold_*/*/model.*"))]
    assert len(names) == 5 + 2 * 2 * 2
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    results = [json.loads((run / "result.json").read_bytes()) for run in (one, other)]
    for result in results:
        assert result.pop("seconds").keys() == {"features", "training"}
    assert results[0] == results[1]
    epochs = [lines_of(run / "metrics.jsonl") for run in (one, other)]
    assert all(epoch.pop("seconds") > 0 for run in epochs for epoch in run)
    assert epochs[0] == epochs[1]


def working(cluster) -> list[tuple[int, Any]]:
    """The processes of the cluster that work on a task: their ids, and the nodes that started them."""
    nodes = {node.all_processes["raylet"][0].process.pid: node for node in cluster.list_all_nodes()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in nodes and (folder / "cmdline").read_bytes().startswith(b"ray::emocatcher "):
                found.append((int(folder.name), nodes[parent]))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_lost_worker_and_a_lost_node_change_nothing(cluster, address, small_run, tmp_path):
    warnings, lost = [], []

    def lose(step: experiment.Progress) -> None:
        if step.warning:
            warnings.append(step.warning)
        if step.epoch is None or len(lost) == 2:
            return
        for process, node in working(cluster):
            if lost:
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(process, signal.SIGKILL)
                    lost.append("worker")
                return
            if node is not cluster.head_node:
                cluster.remove_node(node, allow_graceful=False)
                lost.append("node")
                return

    with ray_engine(address) as engine:
        experiment.run(
            small_run.corpus, small_run.protocol, small_run.settings, tmp_path / "run",
            audited=False, reported=False, engine=engine, on_progress=lose,
        )  # fmt: skip
    assert lost == ["node", "worker"]
    assert warnings  # the second one may have just ended
    assert all("starts again from its last saved state" in warning for warning in warnings)
    same_run(tmp_path / "run", small_run.folder)


@pytest.mark.slow
def test_a_task_that_lost_its_worker_is_resumed(address, tmp_path, small_settings):
    def die_once(task: FoldTask) -> bool:
        if not task.resume:
            os.kill(os.getpid(), signal.SIGKILL)
        return task.resume

    def die(task: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    task = FoldTask(
        fold=0, seed=0, folder=tmp_path, settings=small_settings, labels=(), features=FeatureTable([], [], _none()),
        parts={}, training=None, resume=False,
    )  # fmt: skip
    warnings = []
    with ray_engine(address) as engine:
        with engine.pool(1, int, warnings.append) as pool:
            assert list(pool.run(die_once, [task])) == [True]
        assert len(warnings) == 1
        with pytest.raises(RunError, match=r"lost its worker 3 times.*--resume"), engine.pool(1, int, str) as pool:
            list(pool.run(die, [0]))


def _none():
    import numpy as np

    return np.empty((0, 3), np.int64)


@pytest.mark.slow
def test_an_error_of_a_task_is_raised_as_it_is(address):
    def fail(task: int) -> None:
        raise RunError(f"Task {task} failed")

    with (
        ray_engine(address) as engine,
        engine.pool(1, int, str) as pool,
        pytest.raises(RunError, match=r"^Task 7"),
    ):
        list(pool.run(fail, [7]))


DRIVER = """
import sys
from pathlib import Path
from emocatcher import corpora
from emocatcher.distributed.ray_engine import ray_engine
from emocatcher.evaluation import protocols
from emocatcher.foundation.settings import from_toml
from emocatcher.training import experiment
address, folder, settings, out = sys.argv[1:]
corpus = corpora.load(folder)
with ray_engine(address) as engine:
    experiment.run(
        corpus, protocols.load("stratified-2", corpus, 0), from_toml(Path(settings).read_text(), settings), Path(out),
        audited=False, reported=False, engine=engine,
    )
"""


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_driver_is_resumed(address, small_run, voices_dir, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        DRIVER,
        address,
        str(voices_dir),
        str(small_run.folder / "config.toml"),
        str(out),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as driver:
        end = time.monotonic() + 180
        while not (out / "metrics.jsonl").exists():
            assert driver.poll() is None, driver.stderr.read().decode()
            assert time.monotonic() < end
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)
    assert not (out / "result.json").exists()
    with ray_engine(address) as engine:
        experiment.run(
            small_run.corpus, small_run.protocol, small_run.settings, out,
            audited=False, reported=False, engine=engine, resume=True,
        )  # fmt: skip
    same_run(out, small_run.folder)


@pytest.mark.slow
@pytest.mark.long
def test_ctrl_c_ends_the_tasks_and_says_how_to_resume(voices_dir, tmp_path, small_network):
    settings = [argument for setting in small_network for argument in ("--set", setting)]
    arguments = ["--corpus", str(voices_dir), "--protocol", "stratified-2", "--epochs", "5000", "--no-audit", *settings]
    command = [sys.executable, "-m", "emocatcher", "train", "--engine", "ray", "--out", "run", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path) as running:
        end = time.monotonic() + 120
        while not (tmp_path / "run" / "metrics.jsonl").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does with Ctrl-C
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "Stopped. Resume with --resume --out run"
    with pytest.raises(ProcessLookupError):  # no process of the local Ray is left
        os.killpg(running.pid, 0)


@pytest.mark.slow
@pytest.mark.long
def test_a_sweep_on_a_cluster_ranks_as_without_ray(address, train_here, small_network, voices, tmp_path, monkeypatch):
    from emocatcher.evaluation import protocols
    from emocatcher.training.sweep import engine as sweeps
    from emocatcher.training.sweep.plan import Named, SweepFile, resolve

    monkeypatch.setattr(sweeps, "TrainingPool", experiment.TrainingPool)  # by `train_here`, which starts no process
    changes = (Named("baseline"), Named("smoother", ("training.label_smoothing=0.3",)))
    plan = resolve(
        SweepFile(protocol="speakers-2", inner=2, set=(*small_network, "training.n_epochs=1"), setting=changes),
        "a sweep",
    )
    protocol = protocols.load("speakers-2", voices, 0)
    here, _ = sweeps.run(plan, voices, protocol, tmp_path / "here")
    with ray_engine(address) as engine:
        there, _ = sweeps.run(plan, voices, protocol, tmp_path / "there", engine=engine)
    assert there == here
    trials = [lines_of(tmp_path / name / "trials.jsonl") for name in ("here", "there")]
    assert all(trial.pop("seconds") > 0 for found in trials for trial in found)
    assert trials[0] == trials[1]


@pytest.mark.slow
def test_clips_are_encoded_on_a_cluster_as_here(address, voices, tmp_path):
    write_encoder(tmp_path / "tiny")
    changes = ["network.n_copies=1", f'encoder.source="{tmp_path / "tiny"}"', "encoder.n_layers=2"]
    settings = encoder_weights.resolve(load_preset("emocatcher-3", changes))
    some = msgspec.structs.replace(voices, utterances=voices.utterances[::20])
    clips = load_features(some, settings)

    def digest(pool: Any, name: str) -> str:
        with pool:
            return encoding.encode(pool, some, clips, settings, folder=tmp_path / name).table.digest()

    with ray_engine(address) as engine:
        there = digest(engine.pool(2, int, str), "there")
    assert there == digest(InProcess(1, int, str), "here")


def test_a_node_that_does_not_share_the_run_folder_is_named(tmp_path, monkeypatch):
    def found_elsewhere(paths: list[Path]) -> dict[str, str]:
        assert all(path.exists() for path in paths)
        return {"b (10.0.0.2, 1234)": str(paths[1])}

    monkeypatch.setattr(clusters, "missing_paths", found_elsewhere)
    with pytest.raises(
        ClusterError, match=rf"Node b \(10.0.0.2, 1234\) .* does not share the folder {tmp_path / 'run'}\. "
    ):
        RayEngine(CPU, "").check([tmp_path / "cache", tmp_path / "run"], [])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_device_follows_the_gpus_of_a_task():
    assert RayEngine(CPU, "").resolve_device("cpu") == RayEngine(CPU, "").resolve_device("auto") == "cpu"
    assert {RayEngine(GPU, "").resolve_device(name) for name in ("cpu", "auto", "cuda")} == {"cuda"}
    with pytest.raises(SettingError, match="Add --num-gpus 1"):
        RayEngine(CPU, "").resolve_device("cuda")
    with pytest.raises(SettingError, match="Leave --device out"):
        RayEngine(GPU, "").resolve_device("mps")


@pytest.mark.slow
def test_tasks_that_fit_no_node_now_wait_with_a_warning(address):
    with ray_engine(address, num_gpus=1) as engine:
        warnings = []
        with engine.pool(1, int, warnings.append) as pool:
            next(pool.run(int, []), None)
        assert warnings == ["No node has 1 GPUs now, so the tasks wait for one that joins"]
