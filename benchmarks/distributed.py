"""Measure recognition past one machine: the speed of one actor, and what hostile recordings cost it.

    python benchmarks/distributed.py actor [--model NAME] [--n 240]
    python benchmarks/distributed.py hostile [--model NAME]

`actor`: `RecogniseBatch` on batches of 64 paths, against `Recognizer.predict` in this process: the same RAVDESS clips
(EMOCATCHER_CORPORA), the same core, in turns; ratios are of neighbouring turns, because the speed of a machine drifts.
Processor time, of both processes, is printed too: on a machine with other work, it varies less.

`hostile`: the recordings of `hostile_files.py`, which declare or expand to far more than they hold, and four that end
their process, hang, ask for 64 GiB or raise an unexpected error (through a hook in the process, because no file does so
for ever), each between two clips of the synthetic corpus; 20 s and 1 GiB for each. Every row must be there, and every
clip must have the answer of `Recognizer.predict`.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

# Everything measured runs on one thread.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np

import emocatcher
import hostile_recordings
from emocatcher import corpora
from emocatcher.corpora import synthetic
from emocatcher.distributed import RecogniseBatch, recognise_batch
from emocatcher.foundation import process_setup
from hooked_recording import ACTIONS, HookedRecording

BATCH = 64
ROUNDS = 7


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return how long a call takes, and the processor time of it here and in child processes, seconds."""
    start, before = time.perf_counter(), processor_s()
    function()
    return time.perf_counter() - start, processor_s() - before


def processor_s() -> float:
    """Return the processor time so far of this process and of its children that still run, seconds."""
    found = time.process_time()
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def actor(model: str | None, n: int) -> None:
    """Print the rate of one actor and the in-process rate on the same core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # also of the processes that this one starts
    process_setup.keep_memory()
    paths = [str(one.path) for one in corpora.load("ravdess")][:: max(1440 // n, 1)][:n]
    recognizer, recognise = emocatcher.load(model), RecogniseBatch(model)
    batches = [{"path": np.array(paths[start : start + BATCH])} for start in range(0, len(paths), BATCH)]

    def in_process() -> None:
        for path in paths:
            recognizer.predict(path)

    def in_batches() -> None:
        for batch in batches:
            recognise(batch)

    in_process(), in_batches()
    taken = [(*timed(in_process), *timed(in_batches)) for _ in range(ROUNDS)]
    here, cpu_here, there, cpu_there = (median(times) for times in zip(*taken, strict=True))
    ratio = median(turn[0] / turn[2] for turn in taken)
    cpu_ratio = median(turn[1] / turn[3] for turn in taken)
    print(
        f"{recognizer.config.name}, {len(paths)} clips, {ROUNDS} turns: in process {len(paths) / here:.1f} a second, ",
        end="",
    )
    print(f"one actor {len(paths) / there:.1f}; processor time {1e3 * cpu_here / len(paths):.2f} and ", end="")
    print(f"{1e3 * cpu_there / len(paths):.2f} ms a clip")
    print(f"one actor / in process (≥ 0.85): {ratio:.3f} by the clock, {cpu_ratio:.3f} by processor time")


def hostile(model: str | None) -> None:
    """Print what became of hostile recordings and of the clips between them."""
    recognise_batch.OneRecording = HookedRecording  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthetic.generate(folder / "clips", n_voices=1)
        clips = [str(path) for path in sorted((folder / "clips").rglob("*.wav"))]
        cases = [("hooks", f"{action}.wav") for action in ACTIONS]
        (folder / "hostile").mkdir()
        for kind, file, payload, _ in hostile_recordings.files(folder):
            (folder / "hostile" / file).write_bytes(payload)
            cases.append((kind, str(folder / "hostile" / file)))
        paths = [path for n, (_, bad) in enumerate(cases) for path in (clips[n % len(clips)], bad)]
        start = time.perf_counter()
        with RecogniseBatch(model, limit_s=20.0, limit_bytes=1 << 30) as recognise:
            rows = [recognise({"path": np.array(paths[at : at + BATCH])}) for at in range(0, len(paths), BATCH)]
        taken = time.perf_counter() - start
        columns = {name: [cell for batch in rows for cell in batch[name].tolist()] for name in rows[0]}
        recognizer = emocatcher.load(model)
        answers = [recognizer.predict(path).probability for path in paths[::2]]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    kinds = Counter(zip((kind for kind, _ in cases), columns["error_kind"][1::2], strict=True))
    print(
        f"{len(cases)} hostile recordings: {len(columns['path'])} of {len(paths)} rows, {taken:.0f} s, peak {peak} MiB"
    )
    print(f"clips with the answer of predict: {sum(map(np.array_equal, columns['probability'][::2], answers))}")
    for (kind, error), n in sorted(kinds.items()):
        print(f"| {kind} | {error or 'an answer'} | {n} |")


def main() -> None:
    """Run the chosen measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["actor", "hostile"])
    parser.add_argument("--model")
    parser.add_argument("--n", type=int, default=240, help="number of clips")
    arguments = parser.parse_args()
    if arguments.what == "actor":
        actor(arguments.model, arguments.n)
    else:
        hostile(arguments.model)


if __name__ == "__main__":
    main()
