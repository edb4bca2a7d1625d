"""Measure speed and memory of the reference experiment: `make bench`, or `python benchmarks/reference.py [--quick]`.

Needs RAVDESS (EMOCATCHER_CORPORA). Commands are timed as whole processes. Parts are timed in alternation with the
published implementation, because the speed of a machine drifts. The results go to benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

# The parts measured in this process run on one core.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import numpy as np
import soundfile
import torch

import published
import results
from emocatcher import audio, corpora
from emocatcher.features import extraction
from emocatcher.features.padding import pad_batch
from emocatcher.foundation import process_setup
from emocatcher.foundation.settings import load_preset
from emocatcher.models.networks.registry import build
from emocatcher.training.dataset import load_features

WANTED = (("reference-holdout", 1, "≤ 75 s, aim 40"), ("reference-cv5", 5, "≤ 240 s, aim 150"))
HEADING = "Speed and memory"
Pair = tuple[float, float]


def alternate(ours: Callable[[], None], theirs: Callable[[], None], rounds: int) -> Pair:
    """Time two functions in alternation, after one untimed round; return the median seconds of each."""
    taken: list[Pair] = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        theirs()
        taken.append((middle - start, time.perf_counter() - middle))
    return median(t[0] for t in taken[1:]), median(t[1] for t in taken[1:])


def time_clips(folder: Path, n_clips: int) -> Pair:
    """Time the features of a clip from a WAV file on one core: seconds of ours and of the published way."""
    settings = load_preset("cabg")
    clips = list(corpora.load("ravdess"))[:: 1440 // n_clips][:n_clips]
    paths = []
    for clip in clips:
        samples, rate = soundfile.read(clip.path, dtype="int16")
        paths.append(folder / f"{clip.id}.wav")
        soundfile.write(paths[-1], samples, rate)

    def ours() -> None:
        for path in paths:
            waveform, _ = audio.load(path, settings.front_end.sample_rate)
            extraction.extract(waveform, settings.front_end, settings.vad)

    def theirs() -> None:
        for path in paths:
            published.features(path)

    pair = alternate(ours, theirs, 3)
    return pair[0] / len(paths), pair[1] / len(paths)


def time_step() -> Pair:
    """Time a training step without the optimiser, one thread, real batches of 32: seconds of ours and of theirs."""
    torch.set_num_threads(1)
    settings = load_preset("cabg")
    corpus = corpora.load("ravdess")
    table = load_features(corpus, settings)
    order = np.random.default_rng(0).permutation(len(table))[:320].reshape(10, 32)
    batches = [tuple(map(torch.from_numpy, pad_batch(table.clips([table.ids[i] for i in row])))) for row in order]
    true = torch.arange(32) % 8
    ours_network, theirs_network = build(settings, 8), published.Network()

    def run(forward: Callable[..., torch.Tensor]) -> None:
        for log_mel, lengths in batches:
            torch.nn.functional.cross_entropy(forward(log_mel, lengths), true).backward()

    pair = alternate(lambda: run(lambda *x: ours_network(*x)[0]), lambda: run(theirs_network), 10)
    return pair[0] / len(batches), pair[1] / len(batches)


def time_cold_features(folder: Path) -> tuple[float, float]:
    """Time the features of all 1,440 clips, all cores, no cache: seconds from the corpus's files and from WAV."""
    corpus = corpora.load("ravdess")
    wavs = folder / "wavs"
    wavs.mkdir()
    for clip in corpus:
        samples, rate = soundfile.read(clip.path, dtype="int16")
        soundfile.write(wavs / f"{clip.id}.wav", samples, rate)
    taken = []
    for name, found in (("as-is", corpus), ("wav", corpora.load(str(wavs)))):
        start = time.perf_counter()
        load_features(found, load_preset("cabg"), folder=folder / name)
        taken.append(time.perf_counter() - start)
    return taken[0], taken[1]


def time_training(protocol: str, runs: Path, folder: Path) -> tuple[float, float]:
    """Measure the whole command with report and cold cache: wall seconds, and peak memory of all processes (MB)."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["EMOCATCHER_CACHE"] = str(folder / f"cache-{protocol}")
    command = [sys.executable, "-m", "emocatcher", "train", "--protocol", protocol, "--out", str(runs / protocol)]
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _memory_mb(process.pid))
            time.sleep(0.5)
        if process.returncode:
            raise SystemExit(process.stderr.read().decode() if process.stderr else "training failed")
    return time.perf_counter() - start, peak


def _memory_mb(process: int) -> float:
    """Return the memory of a process and its children, with shared memory counted once (Linux's Pss)."""
    kilobytes = 0
    with contextlib.suppress(OSError, ValueError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
        kilobytes += 1024 * sum(_memory_mb(int(child)) for child in children)
        rows = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        kilobytes += next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return kilobytes / 1024


def main() -> None:
    """Measure, then print the results and write them to their section of RESULTS.md."""
    process_setup.keep_memory()  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure only the parts, not whole trainings")
    parser.add_argument("--keep", type=Path, help="a folder to keep the run folders in; by default they are deleted")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = time_clips(folder, 96)
        rows.append(("features of one clip from WAV, one core", f"{1e3 * ours:.2f} ms", f"{1e3 * theirs:.2f} ms",
                     f"{theirs / ours:.1f}", "≤ 1.7 ms, aim 1.2"))  # fmt: skip
        as_is, from_wav = time_cold_features(folder)
        rows.append(("features of all 1,440 clips, cold, all cores, from WAV", f"{from_wav:.1f} s", "", "", "≤ 3 s"))
        rows.append(("… from this corpus's files", f"{as_is:.1f} s", "", "", ""))
        step, their_step = time_step()
        rows.append(("forward and backward of a batch of 32, one thread", f"{1e3 * step:.1f} ms",
                     f"{1e3 * their_step:.1f} ms", f"{their_step / step:.1f}", ""))  # fmt: skip
        # In each epoch the reference extracts every clip again, trains 36 steps, and tests 288 clips.
        epoch = 1440 * theirs + 36 * their_step + 0.25 * 36 / 3 * their_step
        if not arguments.quick:
            for protocol, n_folds, bound in WANTED:
                seconds, megabytes = time_training(protocol, arguments.keep or folder, folder)
                reference = 120 * n_folds * epoch
                ratio = f"{reference / seconds:.1f}"
                rows.append((f"train {protocol}, cold, with report", f"{seconds:.0f} s",
                             f"{reference:.0f} s (from its parts)", ratio, bound))  # fmt: skip
                rows.append(("… peak memory of all its processes", f"{megabytes:.0f} MB", "", "", "< 1 GB"))
    software = results.software(f"PyTorch {torch.__version__}")
    table = results.table(["what", "here", "published implementation", "ratio", "wanted"], rows)
    text = f"`python benchmarks/reference.py` on {software}.\n\n{table}"
    print(text)
    results.rewrite(HEADING, text)


if __name__ == "__main__":
    main()
