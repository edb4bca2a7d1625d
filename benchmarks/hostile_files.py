"""Give the commands small files that declare, or expand to, far more than they hold; each must end well.

    python benchmarks/hostile_files.py

Each command runs in its own process, two at a time, with 3 GB of address space and 20 s of processor time; a recording
that truly lasts hours gets a second more for each 200 s. It ends as it should with exit code 0, 1 or 2, no traceback,
and a peak of resident memory below 1 GiB. Printed are the files for which it does not, and a table by kind. "Longest
time" is the processor time of a process, with its start; after three times its limit by the clock, it is stopped.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq

import hostile_recordings
from emocatcher import corpora
from emocatcher.models import model_folder

ADDRESS_SPACE, SECONDS, PEAK = 3_000_000_000, 20, 1 << 30  # bytes, seconds, bytes
REAL_TIME = 200  # a recording of hours may take a second more for so many of its seconds
COMMAND = [sys.executable, "-m", "emocatcher"]
TINY = ("network.conv_channels=[4]", "network.gru_units=4", "network.classifier_units=4", "training.n_epochs=1")


class Case(NamedTuple):
    """A command, and the kind and name of its hostile file."""

    kind: str
    name: str
    arguments: tuple[str | Path, ...]
    recording_s: float = 0.0  # how long a recording is that truly lasts long


class Outcome(NamedTuple):
    """How a command ended: `peak` in bytes of resident memory, `problem` empty if it ended as it should."""

    problem: str
    peak: int
    seconds: float


def run(case: Case) -> Outcome:
    """Run a command within its limits."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    allowed = SECONDS + case.recording_s / REAL_TIME
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        process = subprocess.Popen(
            [*COMMAND, *map(str, case.arguments)], stdout=out, stderr=error, start_new_session=True, preexec_fn=limit
        )
        timer = threading.Timer(3 * allowed, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = code = os.waitstatus_to_exitcode(status)
        seconds, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10
        error.seek(0)
        text = error.read().decode(errors="replace")
    last = (text.strip().splitlines() or [""])[-1]
    problems = {
        f"took {seconds:.1f} s of {allowed:.0f} s": seconds >= allowed,
        f"exit code {code}: {last[:200]}": code not in (0, 1, 2),
        f"traceback: {last[:200]}": "Traceback" in text,
        f"peak of {peak >> 20:,} MiB": peak >= PEAK,
    }
    return Outcome("; ".join(text for text, found in problems.items() if found), peak, seconds)


def recordings(folder: Path) -> Iterator[Case]:
    """Headers that declare too much, hours of silence in kilobytes, and containers with the largest numbers."""
    for kind, name, payload, seconds in hostile_recordings.files(folder):
        (path := folder / name).write_bytes(payload)
        yield Case(kind, name, ("predict", path, "--format", "jsonl"), seconds)
        if kind == "audio that expands":
            yield Case(kind, f"{name}, timeline", ("timeline", path, "--format", "csv"), seconds)


def models(folder: Path, clip: Path) -> Iterator[Case]:
    """Model folders with a hostile config.json, model.onnx or model.safetensors; the checksums are right."""
    source = model_folder.bundled("cabg")
    assert source is not None
    config = json.loads((source / "config.json").read_text())
    for number, (part, name, payload) in enumerate(_model_files(source, config)):
        shutil.copytree(source, model := folder / f"model-{number}")
        (model / part).write_bytes(payload)
        if part in config["sha256"]:
            right = copy.deepcopy(config)
            right["sha256"][part] = hashlib.sha256(payload).hexdigest()
            (model / "config.json").write_text(json.dumps(right))
        yield Case("models", f"{part}, {name}, predict", ("predict", clip, "--model", model))
        other: tuple[str | Path, ...] = ("info", model)
        if part == "model.safetensors":  # which only `export` reads
            other = ("export", model, "--to", folder / f"{number}.onnx", "--clips", "1", "--corpus", "synthetic")
        yield Case("models", f"{part}, {name}, {other[0]}", other)


def _model_files(source: Path, config: dict[str, object]) -> Iterator[tuple[str, str, bytes]]:
    yield "config.json", "deep", b'{"a":' * 500_000
    yield "config.json", "long number", json.dumps(config).encode().replace(b"22050", b"9" * 100_000)
    for key, value in (("n_fft", 1 << 40), ("n_mels", 1 << 31), ("hop_length", 1), ("sample_rate", 1 << 62)):
        text = re.sub(rf'"{key}": \d+', f'"{key}": {value}', json.dumps(config))
        yield "config.json", f"{key} {value}", text.encode()
    for size in (1 << 63, 90_000_000):
        yield "model.safetensors", f"header of {size}", struct.pack("<Q", size) + b"{}"
    header = b'{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,18446744073709551615]}}'
    yield "model.safetensors", "tensor of 2^62", struct.pack("<Q", len(header)) + header
    for name, dims in (("zeros of 2^40", (1 << 40,)), ("zeros of 2^29", (1 << 29,))):
        graph = onnx.load(source / "model.onnx")
        shape = onnx.numpy_helper.from_array(np.array(dims), "huge_shape")
        graph.graph.initializer.append(shape)
        graph.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["huge_shape"], ["huge"]))
        total = onnx.helper.make_node("ReduceSum", ["huge"], ["huge_sum"], keepdims=0)
        graph.graph.node.insert(1, total)
        graph.graph.node.append(onnx.helper.make_node("Add", [graph.graph.output[0].name, "huge_sum"], ["huge_logits"]))
        graph.graph.output[0].name = "huge_logits"
        yield "model.onnx", name, graph.SerializeToString()
    graph = onnx.load(source / "model.onnx")
    graph.graph.initializer[0].dims[:] = [1 << 40, 1 << 20]
    yield "model.onnx", "initializer of 2^60", graph.SerializeToString()


def tables(folder: Path) -> Iterator[Case]:
    """Tables of recordings, and recipes, that are deep, or have huge cells, columns and rows."""
    files = {
        "cell.csv": b"path,label\n" + b"x" * 50_000_000 + b",a\n",
        "columns.csv": b"path,label" + b",x" * 1_000_000 + b"\na.wav,b\n",
        "quotes.csv": b'path,label\n"' + b'""' * 5_000_000,
        "deep.jsonl": b"[" * 1_000_000,
        "objects.jsonl": b'{"path":' * 500_000,
        "number.jsonl": b'{"path": "a.wav", "label": ' + b"9" * 1_000_000 + b"}",
        "footer.parquet": b"PAR1" + bytes(100) + struct.pack("<I", 0xFFFF_FFFF) + b"PAR1",
    }
    for name, n_rows, length in (("rows.parquet", 30_000_000, 1), ("cells.parquet", 300, 10_000_000)):
        column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array(["x" * length]))
        pq.write_table(pa.table({"path": column, "label": column}), folder / name, row_group_size=n_rows)
        files[name] = (folder / name).read_bytes()
    for name, payload in files.items():
        (path := folder / name).write_bytes(payload)
        yield Case("tables", name, ("check", path))
    grid = "".join(f'"training.{key}" = {list(range(2, 302))}\n' for key in ("n_epochs", "batch_size"))
    recipes = {
        "deep.toml": "a = " + "[" * 1_000_000, "tables.toml": "[" + "a." * 500_000 + "a]\n",
        "number.toml": "a = " + "9" * 1_000_000, "long.toml": 'a = "' + "x" * 30_000_000 + '"',
        "grid.toml": f'corpus = "synthetic"\nprotocol = "speakers-2"\npreset = "cabg"\n[grid]\n{grid}',
    }  # fmt: skip
    for name, text in recipes.items():
        (path := folder / name).write_text(text)
        yield Case("recipes", name, ("train", "--preset", path, "--protocol", "speakers-2", "--out", folder / "t"))
        yield Case("recipes", f"{name}, sweep", ("sweep", path, "--out", folder / "s"))


def runs(folder: Path) -> Iterator[Case]:
    """Finished runs in which one file is hostile."""
    settings = [part for setting in TINY for part in ("--set", setting)]
    options = ["--corpus", "synthetic", "--protocol", "stratified-2", "--no-audit", *settings]
    clean = folder / "clean"
    subprocess.run([*COMMAND, "train", *options, "--out", clean], check=True, capture_output=True)
    for number, (part, name, payload) in enumerate(_run_files(clean, folder)):
        shutil.copytree(
            clean, one := folder / f"run-{number}", ignore=shutil.ignore_patterns("figures", "last", "best")
        )
        (one / part).write_bytes(payload)
        yield Case("run folders", f"{part}, {name}", ("report", one))


def _run_files(clean: Path, folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for part in ("run.json", "result.json"):
        yield part, "deep", b'{"a":' * 500_000
    result = (clean / "result.json").read_text()
    yield "result.json", "long number", re.sub(r": \d\b", ": " + "9" * 100_000, result, count=1).encode()
    yield "metrics.jsonl", "deep", b"[" * 1_000_000
    for part in ("predictions.csv", "split.csv"):
        first = (clean / part).read_bytes().splitlines()[0]
        yield part, "huge cell", first + b"\n" + b"x" * 50_000_000
        yield part, "columns", first + b",x" * 1_000_000 + b"\n"
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }\n"
    for name, n, n_bytes in (("array of 2^40", 1 << 40, 8), ("2 GB of zeros", 500_000_000, 2_000_000_000)):
        with (
            zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
            np.load(clean / "fold_0" / "evidence.npz") as stored,
        ):
            for key in stored.files:
                with file.open(f"{key}.npy", "w", force_zip64=True) as member:
                    if key != "attention":
                        np.lib.format.write_array(member, stored[key])
                        continue
                    text = (header % n).encode()
                    member.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
                    for _ in range(0, n_bytes, 1 << 24):
                        member.write(bytes(min(n_bytes, 1 << 24)))
        yield "fold_0/evidence.npz", name, (folder / "bomb.npz").read_bytes()
    yield "config.toml", "deep", b"a = " + b"[" * 1_000_000


def main() -> None:
    """Run every command and print the table."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        clip = corpora.load("synthetic").utterances[0].path
        found: dict[str, list[Outcome]] = {}
        cases = [*recordings(folder), *models(folder, clip), *tables(folder), *runs(folder)]
        print(f"{len(cases)} commands", flush=True)
        for case, outcome in zip(cases, pool.map(run, cases), strict=True):
            found.setdefault(case.kind, []).append(outcome)
            if outcome.problem:
                arguments = " ".join(str(one).replace(name, "DIR") for one in case.arguments)
                print(f"{case.kind}: {case.name}: {outcome.problem} ({arguments})", flush=True)
    print("\n| kind | number | ended as it should | largest peak | longest time |\n|---|---:|---:|---:|---:|")
    for kind, outcomes in found.items():
        peak, seconds = max(one.peak for one in outcomes) >> 20, max(one.seconds for one in outcomes)
        right = sum(not one.problem for one in outcomes)
        print(f"| {kind} | {len(outcomes)} | {right} | {peak:,} MiB | {seconds:.1f} s |")


if __name__ == "__main__":
    main()
