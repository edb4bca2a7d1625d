"""Measure jobs on a local Ray: two workers against one, millions of rows, and how much one command can drive.

    python benchmarks/distributed_jobs.py [pair] [call] [start] [resume] [driver] [--work FOLDER]

`pair`: RAVDESS clips (EMOCATCHER_CORPORA) in tasks of 16, on two workers and on one in turns; ratios are of
neighbouring turns, because the speed of a machine drifts. `call`: a call of four minutes on one core. `start`: a
manifest of ten million rows, of which the first 2,000 exist: from the start of `predict` to its first shard, with
`--limit 2000` and without, and the peak of the command's resident memory. `resume`: `predict --resume` of a finished
job of a million rows, and of one that was killed after its last row. `driver`: how many rows a second one command
reads, sends, receives and writes if the workers return them at once. Without a name, all are run, and go to RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

import emocatcher
import results
from emocatcher import audio, corpora
from emocatcher.distributed import cluster, jobs, ray_tasks, row_ranges, works
from emocatcher.distributed.manifest_rows import Manifest
from emocatcher.distributed.result_folder import NOTE, ResultFolder
from emocatcher.distributed.row_ranges import Rows

ROUNDS, BATCH, MILLION = 5, 16, 1_000_000
N_PAIR = 1024  # clips: at the end of a turn, one of two workers waits for the other for half a task, or 1%
CALL_S = 240
Found = list[list[str]]


def clips(n: int) -> list[str]:
    """Return paths of RAVDESS clips."""
    return [str(one.path) for one in corpora.load("ravdess").utterances][:: max(1440 // n, 1)][:n]


def pair(_: Path) -> Found:
    """Return the ratio of two workers to one."""
    table = pa.table({"path": clips(N_PAIR)})
    work = works.work("predict", None, "path", None)

    def run(n_workers: int) -> float:
        parts = ((rows, table.slice(rows.first, len(rows))) for rows in row_ranges.cut([Rows(0, len(table))], BATCH))
        start = time.perf_counter()
        n = sum(len(one.rows) for one in ray_tasks.results(work.function, parts, n_workers) if one is not None)
        return n / (time.perf_counter() - start)

    with cluster.connected(num_cpus=2):
        run(2), run(1)
        rates = [(run(1), run(2)) for _ in range(ROUNDS)]
    one, two = (median(rate) for rate in zip(*rates, strict=True))
    ratio = median(both / single for single, both in rates)
    return [
        [
            "two workers compared with one",
            f"{ratio:.2f} times",
            "≥ 1.8",
            f"{one:.1f} and {two:.1f} clips a second, {ROUNDS} turns",
        ]
    ]


def call(folder: Path) -> Found:
    """Return how long a call of four minutes takes on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sounds = [audio.load(path) for path in clips(80)]
    rate = sounds[0][1]
    soundfile.write(folder / "call.mp3", np.concatenate([samples for samples, _ in sounds])[: CALL_S * rate], rate)
    recognizer, taken = emocatcher.load(), []
    for _ in range(4):
        start = time.process_time()
        recognizer.predict(folder / "call.mp3", threads=1)
        taken.append(time.process_time() - start)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return [["one call of four minutes (MP3), one core", f"{min(taken):.2f} s", "", "processor time, the best of 4"]]


def ten_million(folder: Path) -> Path:
    """Write the manifest of ten million rows, once."""
    path, there = folder / "ten-million.parquet", clips(1440)
    if not path.exists():
        with pq.ParquetWriter(path, pa.schema({"call_id": pa.string(), "uri": pa.string()})) as writer:
            for first in range(0, 10 * MILLION, MILLION):
                numbers = np.arange(first, first + MILLION).astype(str)
                uris = np.char.add(np.char.add("s3://calls/2026/", numbers), ".wav").astype(object)
                if first == 0:
                    uris[:2000] = [there[i % len(there)] for i in range(2000)]
                writer.write_table(
                    pa.table({"call_id": np.char.add("call-", numbers), "uri": pa.array(uris, pa.string())})
                )
    return path


def words(manifest: Path, out: Path, *more: str) -> list[str]:
    """Return the command of a job."""
    options = ["--column", "uri", "--id", "call_id", "--engine", "ray", "--out", str(out)]
    return [sys.executable, "-m", "emocatcher", "predict", str(manifest), *options, *more]


def start(folder: Path) -> Found:
    """Return the time to the first shard, and the memory of the command."""
    manifest, found = ten_million(folder), []
    begun = time.perf_counter()
    Manifest([str(manifest)], "uri", "call_id", None).see()
    found.append(
        [
            "reading and comparing ten million ids",
            f"{time.perf_counter() - begun:.1f} s",
            "",
            "before anything is recognised",
        ]
    )
    for name, more in (("with --limit 2000", ["--limit", "2000"]), ("without a limit", [])):
        shutil.rmtree(folder / "out", ignore_errors=True)
        begun, first_s = time.perf_counter(), 0.0
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(words(manifest, folder / "out", *more), stdout=log, stderr=log)
        while process.poll() is None and time.perf_counter() < begun + 300:
            if not first_s and list((folder / "out").glob("part-*")):
                first_s = time.perf_counter() - begun
            if first_s and time.perf_counter() > begun + first_s + 20:
                break
            time.sleep(0.05)
        peak = _peak(process.pid)
        process.terminate()
        process.wait()
        found.append([f"start to the first row, ten million rows {name}", f"{first_s:.1f} s", "≤ 15 s", ""])
        found.append(["… peak memory of the command", f"{peak} MiB", "≤ 1,000 MiB", "20 s later"])
    return found


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) >> 10
    return 0


def resume(folder: Path) -> Found:
    """Return how long it takes to see that a million rows are done."""
    out, manifest, found = folder / "million", folder / "million.parquet", []
    ids, paths = [f"call-{i}" for i in range(MILLION)], [f"/calls/{i}.wav" for i in range(MILLION)]
    pq.write_table(pa.table({"call_id": ids, "uri": paths}), manifest)
    shutil.rmtree(out, ignore_errors=True)
    result = ResultFolder(str(out))
    for rows in row_ranges.cut([Rows(0, MILLION)], 1024):
        result.write(rows, {"": answers(pa.table({"call_id": ids[rows.first : rows.end]}), "hash")}, "call_id")
    work = works.work("predict", None, "uri", "call_id")
    job = jobs.Job(
        Manifest([str(manifest)], "uri", "call_id", None), [str(manifest)], work,
        ResultFolder(str(folder / "none")),
    )  # fmt: skip
    for state in ("finished", "started"):
        job.note.state, job.note.n_done = state, MILLION
        result.put(NOTE, msgspec.json.encode(job.note))
        begun = time.perf_counter()
        done = subprocess.run(words(manifest, out, "--resume"), capture_output=True, text=True, check=False)
        taken = time.perf_counter() - begun
        assert "1,000,000 of 1,000,000 rows are done" in done.stderr, done.stderr
        what = "finished" if state == "finished" else "killed after its last row"
        found.append(
            [
                f"`--resume` of a job of a million rows, {what}",
                f"{taken:.1f} s",
                "≤ 30 s",
                f"{len(result.done())} shards",
            ]
        )
    return found


class AtOnce:
    """Work that takes no time: what is left is what the command itself does."""

    def __init__(self, n_windows: int, model_hash: str) -> None:
        self._n_windows, self._model_hash = n_windows, model_hash

    def __call__(self, table: pa.Table) -> dict[str, pa.Table]:
        """Return answers, and windows of them."""
        if not self._n_windows:
            return {"": answers(table, self._model_hash)}
        ids = np.repeat(np.array(table.column("call_id").to_pylist()), self._n_windows)
        numbers = np.random.default_rng(0).random(len(ids))
        columns = {"call_id": pa.array(ids), "path": pa.array(ids)} | {f"c{i}": pa.array(numbers) for i in range(14)}
        return {"recordings": answers(table, self._model_hash), "windows": pa.table(columns)}


def answers(table: pa.Table, model_hash: str) -> pa.Table:
    """Return rows with as many columns as those of `predict`."""
    n = len(table)
    numbers = np.random.default_rng(0).random(n)
    for i in range(24):
        table = table.append_column(f"number_{i}", pa.array(numbers))
    text = {"path": "/calls/2026/a-name.wav", "emotion": "happy", "model": "emocatcher-3", "model_hash": model_hash}
    for name, value in text.items():
        table = table.append_column(name, pa.array([value] * n, pa.string()))
    return table.append_column("error_kind", pa.nulls(n, pa.string()))


def driver(folder: Path) -> Found:
    """Return how many rows a second one command drives."""
    manifest, found = ten_million(folder), []
    for command, n_windows, limit in (("predict", 0, 100_000), ("timeline", 480, 3_000)):
        shutil.rmtree(folder / "out", ignore_errors=True)
        work = works.work(command, None, "uri", "call_id")
        work = msgspec.structs.replace(work, function=AtOnce(n_windows, work.model_hash))
        rows = Manifest([str(manifest)], "uri", "call_id", limit)
        job = jobs.Job(rows, [str(manifest)], work, ResultFolder(str(folder / "out"), work.main))
        last: list[jobs.Progress] = []
        job.run("", 2, 32, lambda progress, last=last: last.append(msgspec.structs.replace(progress)))
        rate = limit / last[-1].seconds
        what = "480 windows a recording" if n_windows else "one row a recording"
        size = sum(path.stat().st_size for path in (folder / "out").rglob("*.parquet")) / limit / 1024
        found.append(
            [
                f"rows that one command drives, `{command}`",
                f"{rate:,.0f} a second",
                "",
                f"{what}; {size:.1f} KiB each on disk",
            ]
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    found.append(["… peak memory of this process", f"{peak} MiB", "", "both, with everything else here"])
    return found


MEASUREMENTS: dict[str, Callable[[Path], Found]] = {
    "pair": pair, "call": call, "start": start, "resume": resume, "driver": driver
}  # fmt: skip


@contextlib.contextmanager
def work_folder(given: Path | None) -> Iterator[Path]:
    """The folder of the inputs, which is removed if none was given."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*MEASUREMENTS, []])
    parser.add_argument("--work", type=Path, help="keeps the manifest of ten million rows for the next call")
    options = parser.parse_args()
    found: Found = []
    with work_folder(options.work) as folder:
        for name in options.what or MEASUREMENTS:
            for row in MEASUREMENTS[name](folder):
                print(" | ".join(row), flush=True)
                found.append(row)
    if not options.what:
        import ray

        text = f"""`python benchmarks/distributed_jobs.py` on {results.software(f"Ray {ray.__version__}")};
a local Ray with two CPUs.

{results.table(["what", "here", "wanted", ""], found)}
"""
        results.rewrite("Past one machine: jobs", text)


if __name__ == "__main__":
    main()
