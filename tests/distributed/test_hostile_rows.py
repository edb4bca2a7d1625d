"""A recording that crashes its process, hangs, or expands costs one row; the others have their answers."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

import emocatcher
from emocatcher.distributed import RecogniseBatch, recognise_batch
from emocatcher.distributed.one_recording import OneRecording

MODEL = "cabg"


class Hooked(OneRecording):
    """Stands in for decoders that fail in ways which no file can be made to trigger for ever."""

    def _predict(self, source):
        if "segfault" in str(source):
            ctypes.string_at(0)
        if "hang" in str(source):
            while True:
                time.sleep(1)
        if "fault" in str(source):
            raise IndexError("list index out of range")
        if "memory" in str(source):
            np.ones(1 << 30)
        return super()._predict(source)


@pytest.fixture(scope="module")
def clip(voices_dir: Path) -> str:
    return str(next(voices_dir.rglob("*.wav")))


@pytest.mark.slow
def test_each_hostile_recording_costs_one_row(clip, monkeypatch):
    monkeypatch.setattr(recognise_batch, "OneRecording", Hooked)
    paths = [clip, "/segfault.wav", clip, "/hang.wav", "/default.wav", "/memory.wav", clip]
    with RecogniseBatch(MODEL, limit_s=2.0, limit_bytes=1 << 30) as recognise:
        start = time.monotonic()
        columns = recognise(pa.table({"path": paths})).to_pydict()
        assert time.monotonic() - start < 60
    assert columns["path"] == paths
    answer = emocatcher.load(MODEL).predict(clip)
    expected = [None, "WorkerDied", None, "TimeLimitExceeded", "IndexError", "MemoryError", None]
    assert columns["error"] == expected
    assert columns["error_kind"] == [None, "crash", None, "limit", "unexpected", "limit", None]
    assert "took longer than 2 s" in columns["message"][3]
    assert columns["message"][4] == "unexpected error: list index out of range"
    assert [columns["probability"][n] for n in (0, 2, 6)] == [answer.probability] * 3


@pytest.mark.slow
def test_a_recording_that_expands_to_hours_is_refused_by_its_length(clip, tmp_path):
    with soundfile.SoundFile(bomb := tmp_path / "hours.flac", "w", 8000, 1) as file:
        for _ in range(200):
            file.write(np.zeros(8000 * 30, np.int16))
    assert bomb.stat().st_size < 1 << 20  # for 100 minutes
    with RecogniseBatch(MODEL, longest_s=60.0) as recognise:
        columns = recognise(pa.table({"path": [str(bomb), clip]})).to_pydict()
    assert columns["error"] == ["TooLongError", None]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_the_process_ends_with_its_program_even_while_a_recording_hangs(tmp_path):
    os.mkfifo(pipe := tmp_path / "nobody-writes.wav")
    script = (
        "import numpy as np\n"
        "from emocatcher.distributed import RecogniseBatch\n"
        f"recognise = RecogniseBatch({MODEL!r})\n"
        "print('ready', flush=True)\n"
        f"recognise({{'path': np.array([{str(pipe)!r}])}})\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"ready\n"
        children = descendants(program.pid)
        assert len(children) == 2  # the process, and the one in which Python keeps track of shared memory
        program.kill()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_program_that_is_interrupted_does_not_wait_for_a_recording_that_hangs(tmp_path):
    os.mkfifo(pipe := tmp_path / "nobody-writes.wav")
    script = (
        "import numpy as np\n"
        "from emocatcher.distributed import RecogniseBatch\n"
        f"recognise = RecogniseBatch({MODEL!r})\n"
        "print('ready', flush=True)\n"
        f"recognise({{'path': np.array([{str(pipe)!r}])}})\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        program.send_signal(signal.SIGINT)
        try:
            assert program.wait(30) != 0
        finally:
            program.kill()


@pytest.mark.slow
def test_workers_of_other_pools_can_recognise_and_end(clip, tmp_path):
    (tmp_path / "in_pools.py").write_text(
        "import multiprocessing\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "import numpy as np\n"
        "from emocatcher.distributed import RecogniseBatch\n"
        "def recognise(clip):\n"
        f"    return str(RecogniseBatch({MODEL!r})({{'path': np.array([clip])}})['emotion'][0])\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    with context.Pool(1) as pool:  # of daemonic workers\n"
        f"        print(pool.apply(recognise, [{clip!r}]))\n"
        "    with ProcessPoolExecutor(1, mp_context=context) as pool:  # which wait for what they have started\n"
        f"        print(pool.submit(recognise, {clip!r}).result())\n"
    )
    command = [sys.executable, str(tmp_path / "in_pools.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert run.stdout.split() == [emocatcher.load(MODEL).predict(clip).emotion] * 2, run.stderr


def descendants(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
