"""Kill `predict --out` at random moments, resume until it ends, and compare with a run that was not interrupted.

    python benchmarks/kills.py [N]

N kills for each format of table, and a third of it for `train` of a tiny recipe. Recordings are those of the synthetic
corpus.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emocatcher import corpora

TINY = ("network.conv_channels=[4]", "network.gru_units=4", "network.classifier_units=4", "training.n_epochs=4")


def killed(command: list[str], after_s: float | None) -> float | None:
    """Run a command and kill it after some seconds; return how long it took, or None if it was killed."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, error = process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return None
    assert process.returncode == 0, error.decode()
    return time.monotonic() - started


def content(out: Path) -> object:
    """Return what must not depend on kills: a table's rows, or a run's weights and predictions."""
    if out.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(out).to_pylist()
    if out.is_dir():
        names = ("predictions.csv", "split.csv", "fold_0/last/model.safetensors", "fold_1/last/model.safetensors")
        return [(out / name).read_bytes() for name in names]
    return out.read_bytes()


def main() -> None:
    """Kill, resume, compare and count."""
    n_kills, chance = int(sys.argv[1]) if len(sys.argv) > 1 else 24, random.Random(0)
    voices = corpora.load("synthetic")
    folder, program = Path(tempfile.mkdtemp()), [sys.executable, "-m", "emocatcher"]
    clips = [str(one.path) for one in voices.utterances[:120]]
    settings = [argument for one in TINY for argument in ("--set", one)]
    root = voices.utterances[0].path.parent.parent
    train = [*program, "train", "--corpus", str(root), "--protocol", "stratified-2", "--no-audit", *settings, "--out"]
    predict = [*program, "predict", *clips, "--model", "cabg", "--out"]
    jobs = [(f"predict to {kind}", predict, f"t.{kind}", n_kills) for kind in ("csv", "jsonl", "json", "parquet")]
    jobs.append(("train", train, "run", n_kills // 3))
    for title, command, name, n in jobs:
        whole = killed([*command, str(folder / f"whole-{name}")], None)
        assert whole is not None
        n_done = n_runs = n_same = 0
        while n_done < n:
            out = folder / f"{n_runs}-{name}"
            while True:
                resume = ["--resume"] if n_done and (out.exists() or any(folder.glob(f".{out.name}.*"))) else []
                late = chance.uniform(0.3 * whole, 1.1 * whole)
                if killed([*command, str(out), *resume], late) is not None:
                    break
                n_done += 1
                if n_done >= n:
                    resume = ["--resume"] if out.exists() or any(folder.glob(f".{out.name}.*")) else []
                    killed([*command, str(out), *resume], None)
                    break
            n_runs += 1
            n_same += content(out) == content(folder / f"whole-{name}")
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        print(f"{title}: {n_done} kills in {n_runs} runs; {n_same} results equal the uninterrupted one; left: {left}")
        sys.stdout.flush()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
