"""The executor's processes can be ended while they are busy."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from emocatcher.foundation.executor import EndableExecutor, PoolContext


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


@pytest.mark.skipif(sys.platform != "linux", reason="where Linux keeps the names of semaphores")
def test_nothing_has_a_name_in_shared_memory_that_would_stay_after_a_kill():
    run = (
        "import os\n"
        "from emocatcher.foundation.executor import EndableExecutor\n"
        "from emocatcher.training.training_pool import TrainingPool\n"
        "if __name__ == '__main__':\n"
        "    one, other = EndableExecutor(2, os.getpid, ()), TrainingPool(1, os.getpid, print)\n"
        "    one.submit(os.getpid).result()\n"
        "    print(*(line for line in open('/proc/self/maps') if '/dev/shm/' in line), flush=True)\n"
        "    os.killpg(0, 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, start_new_session=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert ended.stdout.split() == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps Python's own locks")
def test_a_semaphore_admits_as_many_as_it_has_tokens():
    semaphore, lock = PoolContext().BoundedSemaphore(2), PoolContext().Lock()
    assert [semaphore.acquire(timeout=0.01) for _ in range(3)] == [True, True, False]
    semaphore.release()
    assert semaphore.acquire(block=False)
    assert not semaphore.acquire(block=False)
    with lock:
        assert not lock.acquire(block=False)
    assert lock.acquire()


def test_many_tasks_of_many_processes_are_all_done(executor):
    assert sum(executor.map(abs, range(2000), chunksize=3)) == 1_999_000
