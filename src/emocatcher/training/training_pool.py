"""Folds side by side, each in a process of its own with the threads and the memory habits chosen for it.

One thread each. On two cores a second thread makes an epoch of this network a fifth shorter where the other core is
idle, and ten times longer where it is not, for the two then wait for each other at every operation. It would also
round differently, so that a machine's number of cores would change the weights. Threads are a setting of a whole
process, so training never runs in the caller's own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import RunError
from emocatcher.foundation.executor import EndableExecutor
from emocatcher.training import shared_rows
from emocatcher.training.dataset import FeatureTable
from emocatcher.training.shared_rows import RowFile

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_NO_MORE = "no more reports"
_LOOK_UP_S = 1.0
ENDED = (
    "A training process ended before its time: killed, perhaps for want of memory, or unable to start. "
    "What it had saved is whole: go on with --resume"
)
_report: Callable[[Any], None]


def n_processes(n_tasks: int, n_cores: int) -> int:
    """How many processes leave the fewest cores idle at the end of tasks of equal length.

    With one process per core, the last of five tasks on two cores leaves one core idle. Three processes share the two
    cores evenly, and the last two tasks then have a core each: all five take 2.5 times the length of one instead of 3.

    Args:
        n_tasks: tasks of one thread each.
        n_cores: cores for them.

    Returns:
        the fewest such processes, at most two per core.

    Examples:
        >>> n_processes(5, 2), n_processes(4, 2), n_processes(7, 2), n_processes(1, 2)
        (3, 2, 4, 1)
    """

    def length(n_workers: int) -> int:
        """The whole, in tasks' lengths, times `n_cores`."""
        n_rounds, n_last = divmod(n_tasks, n_workers)
        return n_rounds * n_workers + (max(n_last, n_cores) if n_last else 0)

    return min(range(min(n_tasks, n_cores), min(n_tasks, 2 * n_cores) + 1), key=length)


class Workers:
    """A few processes that train; a context manager.

    Args:
        n_workers: processes.
        warm_up: called once in each, so that its imports run while the caller is busy elsewhere.
        on_report: called here, from another thread, with whatever a task passes to `report`.
    """

    def __init__(self, n_workers: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]) -> None:
        self._queue = multiprocessing.get_context("spawn").SimpleQueue()
        self._failure: Exception | None = None
        self._listener = threading.Thread(target=self._listen, args=(on_report,), daemon=True)
        self._listener.start()
        self._rows = None if sys.platform == "win32" else RowFile()
        self._pool = EndableExecutor(n_workers, _start, (self._queue, warm_up, self._rows))
        with process_setup.single_threaded():
            # The processes start with the first tasks, and take the environment of that moment.
            for _ in range(n_workers):
                self._pool.submit(_nothing)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._pool.shutdown(cancel_futures=True)
        else:
            self._pool.end()
        if self._rows is not None:
            self._rows.close()
        # In a thread that nobody waits for: a process that was ended as it reported has left the queue locked.
        threading.Thread(target=self._queue.put, args=(_NO_MORE,), daemon=True).start()
        self._listener.join(timeout=5)

    def share(self, table: FeatureTable) -> FeatureTable:
        """Return a table that the tasks can hold without a copy of its rows in every process.

        Raises:
            FeatureCacheError: if no temporary file can hold the rows.
        """
        return table if self._rows is None else table.share(self._rows)

    def run(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run `function` on every task; outcomes come as they are finished.

        Args:
            function: from a task to its outcome.
            tasks: taken up in this order.

        Raises:
            RunError: if a process was killed.
        """
        try:
            futures = [self._pool.submit(function, task) for task in tasks]
            while futures:
                # Not for as long as a task takes: a report that could not be given is seen between two waits alone.
                wait(futures, timeout=_LOOK_UP_S, return_when=FIRST_COMPLETED)
                if self._failure is not None:
                    raise self._failure
                # In the order in which they were submitted, so that what ends together is not left to chance.
                for future in [future for future in futures if future.done()]:
                    futures.remove(future)
                    yield future.result()
            if self._failure is not None:
                raise self._failure
        except BrokenProcessPool:
            raise RunError(ENDED) from None

    def _listen(self, on_report: Callable[[Any], None]) -> None:
        while (message := self._queue.get()) != _NO_MORE:
            if self._failure is None:
                try:
                    on_report(message)
                except Exception as error:  # the queue is emptied all the same, or the workers would wait for ever
                    self._failure = error


def report(message: Any) -> None:
    """Send something to the caller's `on_report`; only inside a task."""
    _report(message)


def _start(queue: Any, warm_up: Callable[[], None], rows: RowFile | None) -> None:
    global _report
    _report = queue.put
    if rows is not None:
        shared_rows.inherit(rows)
    # Ctrl-C reaches every process of the terminal; the caller alone answers it, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_setup.exit_with_parent()
    # oneDNN keeps what it made for every shape it met, up to a thousand; no two batches have as many frames, and that
    # comes to a hundred megabytes which are never used again.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8")
    import torch

    process_setup.keep_memory()
    torch.set_num_threads(process_setup.N_THREADS)
    warm_up()


def _nothing() -> None:
    pass
