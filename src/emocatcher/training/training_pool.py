"""Where the tasks of a training run: worker processes, each with one thread and with memory settings for training.

On two cores, a second thread makes an epoch of this network a fifth shorter if the other core is idle, and ten times
longer if it is busy, because the two threads then wait for each other at every operation. It would also round
differently, so the number of cores would change the weights. The number of threads is a setting of a whole process, so
training never runs in the caller's process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import RunError
from emocatcher.foundation.executor import EndableExecutor, PoolContext
from emocatcher.training import device as devices

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_NO_MORE = "no more reports"
_POLL_S = 1.0
ENDED = (
    "A training process ended early: it was killed, perhaps because memory ran out, or could not start. "
    "What it saved is intact. Fix the problem, then rerun with --resume"
)
_report: Callable[[Any], None]


class Pool(Protocol):
    """Workers that train; a context manager, which ends running tasks if the block is left by an error."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...

    def run(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run a module-level function on every task, and yield the outcomes as tasks finish."""


class Engine(Protocol):
    """Where the tasks of a training run: this machine's processes, or a cluster."""

    def resolve_device(self, device: str) -> str:
        """Return the device that the tasks train on (see `device.resolve`)."""

    def describe_device(self, device: str) -> str:
        """Return the device with the GPU's model (see `device.describe`)."""

    def check(self, folders: Iterable[Path], files: Iterable[Path]) -> None:
        """Check, before any work, that all workers share these folders and find these files."""

    def pool(self, n_tasks: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]) -> Pool:
        """Start workers for so many tasks (see `TrainingPool`)."""


class ThisMachine:
    """The engine of one machine.

    Args:
        start: starts a pool of so many processes: `TrainingPool`.
    """

    def __init__(self, start: Callable[[int, Callable[[], None], Callable[[Any], None]], Pool]) -> None:
        self._start = start

    def resolve_device(self, device: str) -> str:
        """Return the device to use."""
        return devices.resolve(device)

    def describe_device(self, device: str) -> str:
        """Return the device with the GPU's model."""
        return devices.describe(device)

    def check(self, folders: Iterable[Path], files: Iterable[Path]) -> None:
        """Do nothing: the processes find what this process finds."""

    def pool(self, n_tasks: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]) -> Pool:
        """Start as many processes as finish the tasks earliest."""
        return self._start(n_processes(n_tasks, process_setup.usable_cores()), warm_up, on_report)


def n_processes(n_tasks: int, n_cores: int) -> int:
    """Return the number of processes that finishes tasks of equal length earliest.

    With one process per core, the last of five tasks on two cores leaves one core idle. Three processes share the two
    cores evenly, and the last two tasks then have a core each: all five take 2.5 times the length of one instead of 3.

    Args:
        n_tasks: number of tasks, of one thread each.
        n_cores: number of cores.

    Returns:
        the smallest such number, at most two for each core.

    Examples:
        >>> n_processes(5, 2), n_processes(4, 2), n_processes(7, 2), n_processes(1, 2)
        (3, 2, 4, 1)
    """

    def length(n_workers: int) -> int:
        """The time for all tasks, in units of one task, times `n_cores`."""
        n_rounds, n_last = divmod(n_tasks, n_workers)
        return n_rounds * n_workers + (max(n_last, n_cores) if n_last else 0)

    return min(range(min(n_tasks, n_cores), min(n_tasks, 2 * n_cores) + 1), key=length)


class TrainingPool:
    """A pool of processes that train; a context manager.

    Args:
        n_workers: number of processes.
        warm_up: called once in each process, so that its imports run while the caller loads the features.
        on_report: called in this process, from another thread, with each message that a task passes to `report`.
    """

    def __init__(self, n_workers: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]) -> None:
        self._queue = PoolContext().SimpleQueue()
        self._failure: Exception | None = None
        self._receiver = threading.Thread(target=self._receive, args=(on_report,), daemon=True)
        self._receiver.start()
        self._pool = EndableExecutor(n_workers, _start, (self._queue, warm_up))
        with process_setup.single_threaded():
            # The processes start with the first tasks and inherit the environment of that moment.
            for _ in range(n_workers):
                self._pool.submit(_no_op)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._pool.shutdown(cancel_futures=True)
        else:
            self._pool.end()
        # In a daemon thread: a process that was terminated while it reported leaves the queue locked.
        threading.Thread(target=self._queue.put, args=(_NO_MORE,), daemon=True).start()
        self._receiver.join(timeout=5)

    def run(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run a function on every task, and yield the outcomes as tasks finish.

        Args:
            function: task → outcome.
            tasks: started in this order.

        Raises:
            RunError: if a process was killed.
            Exception: any error of a task or of `on_report`.
        """
        try:
            futures = [self._pool.submit(function, task) for task in tasks]
            while futures:
                # Poll, because an error of `on_report` is noticed only between two waits.
                wait(futures, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                if self._failure is not None:
                    raise self._failure
                # In the order of submission, so that the order of tasks that finish together is fixed.
                for future in [future for future in futures if future.done()]:
                    futures.remove(future)
                    yield future.result()
            if self._failure is not None:
                raise self._failure
        except BrokenProcessPool:
            raise RunError(ENDED) from None

    def _receive(self, on_report: Callable[[Any], None]) -> None:
        while (message := self._queue.get()) != _NO_MORE:
            if self._failure is None:
                try:
                    on_report(message)
                except Exception as error:  # keep emptying the queue, or the workers would block forever
                    self._failure = error


def report(message: Any) -> None:
    """Pass a message to `on_report` in the caller's process; only inside a task."""
    _report(message)


def prepare_worker(send: Callable[[Any], None]) -> None:
    """Set this process up for training: one thread, memory settings, and what `report` passes messages to.

    Args:
        send: called with each message of a task.
    """
    global _report
    _report = send
    # By default, oneDNN caches its kernels for up to a thousand shapes. Batches rarely have the same number of frames,
    # so that would be a hundred megabytes that are not used again.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8")
    import torch

    process_setup.keep_memory()
    torch.set_num_threads(process_setup.N_THREADS)


def _start(queue: Any, warm_up: Callable[[], None]) -> None:
    # Ctrl-C reaches every process of the terminal; only the caller handles it, and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_setup.exit_with_parent()
    prepare_worker(queue.put)
    warm_up()


def _no_op() -> None:
    pass
