"""Measure recognition past one machine: the speed of one actor.

    python benchmarks/distributed.py actor [--model NAME] [--n 240]

`actor`: `RecogniseBatch` on batches of 64 paths, against `Recognizer.predict` in this process: the same RAVDESS clips
(EMOCATCHER_CORPORA), the same core, in turns; ratios are of neighbouring turns, because the speed of a machine drifts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

# Everything measured runs on one thread.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np

import emocatcher
from emocatcher import corpora
from emocatcher.distributed import RecogniseBatch
from emocatcher.foundation import process_setup

BATCH = 64
ROUNDS = 7


def timed(function: Callable[[], object]) -> float:
    """Return how long a call takes, seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


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
    taken = [(timed(in_process), timed(in_batches)) for _ in range(ROUNDS)]
    here, there = (len(paths) / median(times) for times in zip(*taken, strict=True))
    ratio = median(one / other for one, other in taken)
    print(f"{recognizer.config.name}, {len(paths)} clips: in process {here:.1f} a second, one actor {there:.1f}")
    print(f"one actor / in process: {ratio:.3f} (median of {ROUNDS} turns; ≥ 0.85 is wanted)")


def main() -> None:
    """Run the chosen measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["actor"])
    parser.add_argument("--model")
    parser.add_argument("--n", type=int, default=240, help="number of clips")
    arguments = parser.parse_args()
    actor(arguments.model, arguments.n)


if __name__ == "__main__":
    main()
