"""Kill commands at random moments, resume until they end, and compare with a command that was not interrupted.

    python benchmarks/kills.py [N] [TITLE ...]

N kills each for `predict --out` to every format of table, `train`, `sweep` and `finalise`, or only for the titles that
are given. Half of the kills come after a random time, and half right after a random change in the output folder, so
that they also meet the writing of results. Half are of the process alone, and half of its whole group. `finalise` is
not resumed, but started again. Recordings are those of the synthetic corpus; the cache starts empty.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from emocatcher import corpora
from emocatcher.foundation import atomic_files

TINY = ("network.conv_channels=[4]", "network.gru_units=4", "network.classifier_units=4", "training.n_epochs=4")
FORMATS = ("csv", "jsonl", "json", "parquet")
PROGRAM = [sys.executable, "-m", "emocatcher"]
UNLIKE = ("environment.json", "report.html")  # which hold the date
SECONDS = re.compile(rb'"seconds": ?(\{[^}]*\}|[-+.e\d]+)')
SHARED_MEMORY = Path("/dev/shm")


class Moment(NamedTuple):
    """When to kill: after some seconds, or after some changes in a folder."""

    seconds: float
    n_changes: float


NEVER = Moment(float("inf"), float("inf"))


def listing(folder: Path) -> set[tuple[str, int, int]]:
    """Return the names, sizes and times of all files in a folder; of those that vanish meanwhile, none."""
    found = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found.add((str(path), (status := path.stat()).st_size, status.st_mtime_ns))
    return found


def run(command: list[str], place: Path, moment: Moment, *, group: bool = False) -> tuple[Moment | None, str]:
    """Run a command in its place; return its duration and changes, or None if it was killed, and its errors."""
    environment = {**os.environ, "TMPDIR": str(place / "tmp"), "EMOCATCHER_CACHE": str(place / "cache")}
    before, n_changes, started = listing(place), 0, time.monotonic()
    with (place.parent / "errors").open("w+b") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True, env=environment
        )
        while process.poll() is None:
            if (after := listing(place)) != before:
                before, n_changes = after, n_changes + 1
            if time.monotonic() - started >= moment.seconds or n_changes >= moment.n_changes:
                (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
                process.wait()
                break
            time.sleep(0.002)
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    for _ in range(100):  # the processes of the group end with it
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        raise RuntimeError(f"processes of {command} are left")
    if process.returncode == -signal.SIGKILL:
        return None, text
    assert process.returncode == 0, text
    return Moment(time.monotonic() - started, n_changes), text


def content(out: Path) -> object:
    """Return what must not depend on kills: all but times, each file by its name."""
    if out.is_dir():
        return {str(path.relative_to(out)): content(path) for path in sorted(out.rglob("*")) if path.is_file()}
    if out.suffix == ".parquet":
        return pq.read_table(out).to_pylist()
    if out.suffix == ".npz":
        with np.load(out) as stored:
            return [(name, stored[name].tolist()) for name in stored.files]
    if out.parent.name == "resume" and (found := atomic_files.read_tensors(out)):
        return [(name, found[0][name].tolist()) for name in sorted(found[0])]
    return None if out.name in UNLIKE else SECONDS.sub(b"", out.read_bytes())


def jobs(folder: Path) -> dict[str, tuple[list[str], str, list[str]]]:
    """Return the commands by title, each with the name of its output and what to add when it is started again."""
    clips = corpora.load("synthetic").utterances[::8]
    rows = [f"{one.path},{one.emotion},{one.speaker}" for one in clips]
    (table := folder / "clips.csv").write_text("\n".join(["path,label,speaker", *rows, ""]))
    settings = [argument for one in TINY for argument in ("--set", one)]
    train = ["train", "--corpus", str(table), "--protocol", "speakers-2", *settings, "--out"]
    (file := folder / "sweep.toml").write_text(
        f'corpus = "{table}"\nprotocol = "speakers-2"\npreset = "cabg"\nset = {[*TINY, "training.selection=last"]}\n'
        'seeds = [0, 1]\n[[setting]]\nname = "a"\n[[setting]]\nname = "b"\nset = ["training.batch_size=16"]\n'
    )
    resume = ["--resume"]
    found = {
        f"predict to {kind}": (
            ["predict", *(str(one.path) for one in clips[:120]), "--model", "cabg", "--out"], f"t.{kind}", resume
        )
        for kind in FORMATS
    }  # fmt: skip
    found["train"] = train, "run", resume
    found["sweep"] = ["sweep", str(file), "--out"], "sweep", resume
    found["finalise"] = ["finalise", str(folder / "finished"), "--name", "mine", "--to"], "model", ["--overwrite"]
    (folder / "made" / "tmp").mkdir(parents=True)
    run([*PROGRAM, *train, str(folder / "finished")], folder / "made", NEVER)
    return found


def main() -> None:
    """Kill, resume, compare and count."""
    n_kills, chance = int(sys.argv[1]) if len(sys.argv) > 1 else 24, random.Random(0)
    folder = Path(tempfile.mkdtemp())
    for title, (arguments, name, again) in jobs(folder).items():
        if title not in (sys.argv[2:] or [title]):
            continue
        command, shared = [*PROGRAM, *arguments], set(SHARED_MEMORY.iterdir())
        (whole := folder / "whole" / title / "tmp").mkdir(parents=True)
        usual, _ = run([*command, str(whole.parent / name)], whole.parent, NEVER)
        assert usual is not None
        n_done = n_runs = n_same = n_writing = 0
        left: list[str] = []
        while n_done < n_kills:
            (place := folder / f"{title} {n_runs}").joinpath("tmp").mkdir(parents=True)
            while True:
                begun = any(one.name not in ("tmp", "cache") for one in place.iterdir())
                moment = Moment(chance.uniform(0.1 * usual.seconds, usual.seconds), float("inf"))
                if chance.random() < 0.5:
                    moment = Moment(float("inf"), chance.randint(1, int(usual.n_changes)))
                if n_done == n_kills:
                    moment = NEVER
                arguments = [*command, str(place / name), *(again if begun else [])]
                ended, _ = run(arguments, place, moment, group=chance.random() < 0.5)
                if ended:
                    break
                n_done += 1
                n_writing += moment.seconds == float("inf")
            n_runs += 1
            n_same += content(place / name) == content(whole.parent / name)
            kept = {name, f"{name}.svg", "tmp", "cache"}
            left += [str(one) for one in place.rglob("*") if one.name.startswith(".")]
            left += [str(one) for one in (*place.iterdir(), *(place / "tmp").iterdir()) if one.name not in kept]
        left += [str(one) for one in set(SHARED_MEMORY.iterdir()) - shared]
        print(
            f"{title}: {n_done} kills, {n_writing} while files changed, in {n_runs} runs; {n_same} results equal "
            f"the uninterrupted one; left: {left}",
            flush=True,
        )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
