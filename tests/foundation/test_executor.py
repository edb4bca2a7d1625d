"""The executor's processes can be ended while they are busy."""

import multiprocessing
import os
import signal
import time
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


def test_ending_is_immediate_and_leaves_no_process(executor):
    others = set(multiprocessing.active_children())
    executor.submit(os.getpid).result()
    running = [executor.submit(time.sleep, 600) for _ in range(3)]
    started = time.monotonic()
    executor.end()
    assert time.monotonic() - started < 60
    # The pool's own thread waits for the processes too, and may note an end a moment later.
    while not (set(multiprocessing.active_children()) <= others and all(future.done() for future in running)):
        assert time.monotonic() - started < 60
        time.sleep(0.01)
    assert all(future.cancelled() or isinstance(future.exception(), BrokenProcessPool) for future in running)
    executor.end()  # a second call does nothing


def test_the_executor_can_be_ended_after_a_killed_process(executor):
    with pytest.raises(BrokenProcessPool):
        executor.submit(signal.raise_signal, signal.SIGKILL).result()
    executor.end()
