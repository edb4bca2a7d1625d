"""An executor whose busy processes can be ended."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool

import pytest

from emocatcher.foundation.executor import EndableExecutor


@pytest.fixture
def executor():
    one = EndableExecutor(2, os.getpid, ())
    yield one
    one.end()


def test_tasks_run_in_other_processes(executor):
    assert os.getpid() not in {executor.submit(os.getpid).result() for _ in range(4)}


def test_the_end_comes_at_once_and_leaves_no_process(executor):
    others = set(multiprocessing.active_children())
    executor.submit(os.getpid).result()
    running = [executor.submit(time.sleep, 600) for _ in range(3)]
    begun = time.monotonic()
    executor.end()
    assert time.monotonic() - begun < 60
    assert set(multiprocessing.active_children()) <= others
    wait(running, timeout=60)
    assert all(future.cancelled() or isinstance(future.exception(), BrokenProcessPool) for future in running)
    executor.end()  # again, it does nothing


def test_a_killed_process_breaks_the_tasks_and_the_end_still_comes(executor):
    with pytest.raises(BrokenProcessPool):
        executor.submit(signal.raise_signal, signal.SIGKILL).result()
    executor.end()
