"""Lose workers, nodes and the command itself while folds train on a Ray cluster, and compare with a run without Ray.

    python benchmarks/distributed_training.py [N] [worker|node|command ...]

N losses each, at random moments, of a cluster of three nodes on this machine: of a worker (SIGKILL), of a node (its Ray
processes killed; another one joins), and of the command (SIGKILL, then `--resume`). A tiny network on a sixth of the
clips of the synthetic corpus, two folds. A command that gives up, because a task was lost three times within an epoch,
is resumed too. All files of a run are compared, without times, as in `kills.py`.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Ray reads this when it is imported. The folder is short, because the paths of sockets are limited.
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_TMPDIR": tempfile.mkdtemp(prefix="r", dir="/tmp"),
    "RAY_USAGE_STATS_ENABLED": "0",
}

from ray.cluster_utils import Cluster

import kills
from emocatcher import corpora

FOLDER = Path(os.environ["RAY_TMPDIR"])
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
TRAIN = f"""
import sys
from contextlib import nullcontext
from pathlib import Path
from emocatcher import corpora
from emocatcher.distributed import cluster
from emocatcher.distributed.ray_engine import ray_engine
from emocatcher.evaluation import protocols
from emocatcher.foundation.settings import load_preset
from emocatcher.training import experiment

table, out, *address = sys.argv[1:]
corpus = corpora.load(table)
settings = load_preset("cabg", {[*kills.TINY, "training.n_epochs=100"]})
cluster.silence_ray()
with ray_engine(*address) if address else nullcontext() as engine:
    experiment.run(
        corpus, protocols.load("speakers-2", corpus, 0), settings, Path(out),
        engine=engine, audited=False, reported=False, resume=Path(out).exists(),
        on_progress=lambda step: print(step.warning, file=sys.stderr) if step.warning else None,
    )
"""
KINDS = ("worker", "node", "command")
GIVEN_UP = "without an epoch in between"


def workers(cluster: Cluster) -> list[int]:
    """Return the ids of the processes of the cluster that run a task."""
    nodes = {node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in nodes and (path / "cmdline").read_bytes().startswith(b"ray::emocatcher "):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def lose(kind: str, cluster: Cluster, command: subprocess.Popen[bytes]) -> bool:
    """Lose something; return whether there was one."""
    if kind == "command":
        command.kill()
        return True
    if kind == "node":
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(**NODE)
        return True
    found = workers(cluster)
    if found:
        os.kill(random.choice(found), signal.SIGKILL)
    return bool(found)


def main() -> None:
    """Lose, resume, compare and count."""
    n_losses = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    chance = random.Random(0)
    (FOLDER / "ray").mkdir()
    os.environ["EMOCATCHER_CACHE"] = str(FOLDER / "cache")
    clips = corpora.load("synthetic").utterances[::6]
    rows = [f"{one.path},{one.emotion},{one.speaker}" for one in clips]
    (table := FOLDER / "clips.csv").write_text("\n".join(["path,label,speaker", *rows, ""]))
    command = [sys.executable, "-c", TRAIN, str(table)]
    subprocess.run([*command, str(FOLDER / "whole")], check=True)
    cluster = Cluster(
        initialize_head=True,
        head_node_args=NODE | {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True},
    )
    for _ in range(2):
        cluster.add_node(**NODE)
    for kind in sys.argv[2:] or KINDS:
        n_lost = n_runs = n_same = n_commands = n_given_up = 0
        while n_lost < n_losses:
            out = FOLDER / f"{kind}-{n_runs}"
            while True:
                n_commands += 1
                with (FOLDER / "errors").open("wb") as errors:
                    process = subprocess.Popen([*command, str(out), cluster.address], stderr=errors)
                    end = time.monotonic() + chance.uniform(1.0, 8.0)
                    while process.poll() is None:
                        time.sleep(0.05)
                        is_training = (out / "metrics.jsonl").exists()
                        if n_lost < n_losses and is_training and time.monotonic() > end:
                            n_lost += lose(kind, cluster, process)
                            end = time.monotonic() + chance.uniform(1.0, 8.0)
                if process.returncode == 0:
                    break
                said = (FOLDER / "errors").read_text()
                n_given_up += GIVEN_UP in said
                assert process.returncode == -signal.SIGKILL or GIVEN_UP in said, said
            n_runs += 1
            n_same += kills.content(out) == kills.content(FOLDER / "whole")
        commands = f"{n_commands} commands, of which {n_given_up} gave up"
        print(f"{kind}: {n_lost} losses in {n_runs} runs, {commands}; {n_same} equal", flush=True)
    cluster.shutdown()
    shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
