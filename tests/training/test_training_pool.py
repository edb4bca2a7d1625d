"""The training pool: its processes, their reports, their shared features, and their end."""

import math
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher.foundation.errors import RunError
from emocatcher.training import training_pool
from emocatcher.training.training_pool import TrainingPool

POOL = "__import__('importlib').import_module('emocatcher.training.training_pool')"  # for tasks of `eval`


def ignore(_message: Any) -> None:
    pass


def becomes_true(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")  # on Linux, a zombie process still answers a signal
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@given(n_tasks=st.integers(1, 60), n_cores=st.integers(1, 16))
def test_n_processes_gives_the_shortest_time_with_the_fewest_processes(n_tasks: int, n_cores: int) -> None:
    def seconds(n_workers: int) -> float:
        """The time for tasks of one second; more tasks at once than cores share the cores evenly."""
        left, total = n_tasks, 0.0
        while left:
            at_once = min(left, n_workers)
            total += max(at_once / n_cores, 1.0)
            left -= at_once
        return total

    chosen = training_pool.n_processes(n_tasks, n_cores)
    assert 1 <= chosen <= min(n_tasks, 2 * n_cores)
    allowed = range(1, min(n_tasks, 2 * n_cores) + 1)
    assert seconds(chosen) == pytest.approx(min(map(seconds, allowed)))
    assert all(seconds(fewer) > seconds(chosen) + 1e-9 for fewer in range(1, chosen))


def test_tasks_run_in_single_threaded_processes_and_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    reports: list[Any] = []
    with TrainingPool(1, os.getpid, reports.append) as pool:
        assert sorted(pool.run(math.sqrt, [4.0, 9.0])) == [2.0, 3.0]
        (process,) = pool.run(eval, ["__import__('os').getpid()"])
        assert process != os.getpid()
        (threads,) = pool.run(eval, ["__import__('torch').get_num_threads()"])
        assert threads == 1
        assert list(pool.run(os.getenv, ["OMP_NUM_THREADS"])) == [str(threads)]
        list(pool.run(training_pool.report, [{"epoch": 1}, None, "x"]))
        with pytest.raises(ValueError, match="math domain error"):
            list(pool.run(math.sqrt, [-1.0]))
    assert reports == [{"epoch": 1}, None, "x"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert becomes_true(lambda: not is_alive(process))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process from Linux")
def test_onednn_does_not_cache_kernels_for_every_shape() -> None:
    grow = (
        "sum(gelu(ones(n, 64)).numel() for gelu, ones in"
        " [(__import__('torch').nn.functional.gelu, __import__('torch').ones)] for n in range(1000, 1400))"
        " and int(open('/proc/self/statm').read().split()[1])"
    )
    once = grow.replace("range(1000, 1400)", "range(1400, 1404)")
    with TrainingPool(1, os.getpid, ignore) as pool:
        before, after = pool.run(eval, [once, grow])
    assert (after - before) * os.sysconf("SC_PAGESIZE") < 30e6


def test_a_killed_process_is_an_error_that_names_resume() -> None:
    with pytest.raises(RunError, match="--resume"), TrainingPool(1, os.getpid, ignore) as pool:
        list(pool.run(signal.raise_signal, [signal.SIGKILL]))


def test_an_error_in_one_task_ends_the_others_even_one_that_holds_the_queue_of_reports() -> None:
    started: list[int] = []
    begun = time.monotonic()
    hold = f"{POOL}._report.__self__._wlock.acquire(), __import__('time').sleep(600)"
    tasks = [f"{POOL}.report(__import__('os').getpid()), {hold}", "__import__('time').sleep(1), 1 / 0"]
    with pytest.raises(ZeroDivisionError), TrainingPool(2, os.getpid, started.append) as pool:
        list(pool.run(eval, tasks))
    assert time.monotonic() - begun < 60
    assert len(started) == 1
    assert becomes_true(lambda: not is_alive(started[0]))


def test_a_report_that_fails_ends_the_running_tasks() -> None:
    begun = time.monotonic()
    # More than fits into a pipe: if the queue were not emptied, the worker would block forever.
    endless = f"[{POOL}.report('x' * 1000) for _ in range(300)], __import__('time').sleep(600)"
    with pytest.raises(TypeError), TrainingPool(1, os.getpid, operator.neg) as pool:
        list(pool.run(eval, [endless]))
    assert time.monotonic() - begun < 60


def test_busy_and_idle_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "from emocatcher.training.training_pool import TrainingPool\n"
        "def run():\n"
        "    with TrainingPool(2, os.getpid, lambda process: print(process, flush=True)) as pool:\n"
        f"        report = {POOL!r} + \".report(__import__('os').getpid())\"\n"
        "        list(pool.run(eval, [report + \", __import__('time').sleep(600)\", report]))\n"
        "if __name__ == '__main__':\n"
        "    run()\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(2)}
        assert len(workers) == 2
        assert all(map(is_alive, workers))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert becomes_true(lambda: not any(map(is_alive, workers)))
    assert list(tmp_path.iterdir()) == []
