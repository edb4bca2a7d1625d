"""`predict` and `timeline` with `--engine ray` on a cluster of three nodes: each row once, whatever dies meanwhile."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import emocatcher

MODEL = "cabg"  # small, so that it loads in a moment
N = 60


@pytest.fixture(scope="module")
def recordings(voices_dir: Path) -> list[str]:
    """Sixty names, of which every tenth is of no recording."""
    clips = [str(path) for path in sorted(voices_dir.rglob("*.wav"))]
    return [clips[i % len(clips)] if i % 10 else f"missing/{i}.wav" for i in range(N)]


@pytest.fixture(scope="module")
def manifest(recordings, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "m.parquet"
    write_manifest(path, recordings)
    return path


def write_manifest(path: Path, recordings: list[str]) -> None:
    ids = [f"c{i}" for i in range(N)]
    pq.write_table(pa.table({"call": ids, "uri": recordings, "agent": ["x"] * N}), path)


@pytest.fixture(scope="module")
def expected(manifest: Path) -> dict[str, float | None]:
    """The probability of each id without Ray; None for a recording that is not there."""
    recognizer, found = emocatcher.load(MODEL), {}
    for row in pq.read_table(manifest).to_pylist():
        is_there = Path(row["uri"]).is_absolute()
        found[row["call"]] = recognizer.predict(row["uri"]).probability if is_there else None
    return found


def command(manifest: Path, out: Path, address: str, *more: str) -> list[str]:
    options = ["--engine", "ray", "--address", address, "--model", MODEL, "--column", "uri", "--id", "call"]
    return [sys.executable, "-m", "emocatcher", "predict", str(manifest), "--out", str(out), *options, *more]


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


def assert_whole(out: Path, expected: dict[str, float | None]) -> None:
    """Every id exactly once, with the answer of `recognizer.predict`."""
    table = pq.read_table(out)
    assert sorted(table.column("call").to_pylist()) == sorted(expected)
    for row in table.to_pylist():
        assert row["probability"] == pytest.approx(expected[row["call"]], abs=1e-6)
        assert (row["error_kind"] is None) == (expected[row["call"]] is not None)
        assert row["agent"] == "x"
    note = json.loads((out / "_manifest.json").read_text())
    n_failed = sum(value is None for value in expected.values())
    assert (note["state"], note["n_rows"], note["n_done"]) == ("finished", len(expected), len(expected))
    assert note["n_failed"] == sum(note["errors"].values()) == n_failed


# Not in .ci/run, because it takes half a minute.
@pytest.mark.slow
@pytest.mark.long
def test_a_table_is_whole_after_a_node_the_driver_and_ctrl_c_ended(cluster, manifest, recordings, expected, tmp_path):
    out = tmp_path / "out"
    words = command(manifest, out, cluster.address, "--batch", "2")
    driver = subprocess.Popen([*words, "--limit", "50"], stderr=subprocess.DEVNULL)
    wait_for(lambda: list(out.glob("part-*.parquet")), driver)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    driver.kill()
    driver.wait()
    assert json.loads((out / "_manifest.json").read_text())["state"] == "started"
    refused = run(words)
    assert refused.returncode == 2
    assert "results of an unfinished job. Give --resume" in refused.stderr

    # More rows have come, of which one waits for a server that never answers, and Ctrl-C ends the run.
    before = set(out.glob("part-*.parquet"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://127.0.0.1:{silent.getsockname()[1]}/50.wav"
        write_manifest(manifest, [*recordings[:50], place, *recordings[51:]])
        with subprocess.Popen([*words, "--resume"], stderr=subprocess.PIPE, text=True) as driver:
            wait_for(lambda: set(out.glob("part-*.parquet")) - before, driver)
            driver.send_signal(signal.SIGINT)
            _, said = driver.communicate(timeout=60)
    write_manifest(manifest, recordings)
    assert driver.returncode == 130, said
    assert f"Resume with --resume --out {out}" in said
    assert "Traceback" not in said
    note = json.loads((out / "_manifest.json").read_text())
    assert (note["state"], note["n_runs"]) == ("interrupted", 2)
    assert 0 < note["n_done"] == pq.read_table(out).num_rows < N

    resumed = run([*words, "--resume"])
    assert resumed.returncode == 1, resumed.stderr  # as plain predict does where recordings failed
    assert f"{N} of {N} rows are done, 6 of them failed (audio 6)" in resumed.stderr
    assert_whole(out, expected)
    again = run([*words, "--resume"])
    assert "is complete" in again.stderr
    assert again.returncode == 1


@pytest.mark.slow
def test_timelines_are_three_tables_that_agree_with_the_recogniser(cluster, manifest, tmp_path):
    out = tmp_path / "out"
    words = command(manifest, out, cluster.address, "--limit", "6", "--window", "1", "--format", "textgrid")
    words[words.index("predict")] = "timeline"
    assert run(words).returncode == 1
    recordings, segments, windows = (pq.read_table(out / name) for name in ("recordings", "segments", "windows"))
    assert recordings.column("call").to_pylist() == [f"c{i}" for i in range(6)]
    row = recordings.to_pylist()[1]
    timeline = emocatcher.load(MODEL).timeline(row["uri"], 1.0)
    of_it = [one for one in windows.to_pylist() if one["call"] == "c1"]
    assert [(one["start_s"], one["emotion"]) for one in of_it] == [(w.start_s, w.emotion) for w in timeline.windows]
    assert [one["probability"] for one in of_it] == pytest.approx([w.probability for w in timeline.windows], abs=1e-6)
    of_it = [one for one in segments.to_pylist() if one["call"] == "c1"]
    assert [(one["start_s"], one["end_s"]) for one in of_it] == [(s.start_s, s.end_s) for s in timeline.segments]
    assert {path.name for path in (out / "files").iterdir()} == {f"c{i}.textgrid" for i in range(1, 6)}


def wait_for(happened, process: subprocess.Popen[str], seconds: float = 60) -> None:
    last = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < last
        time.sleep(0.05)
