"""Folds side by side, each in a process of its own with the threads and the memory habits chosen for it.

Small networks on small machines lose most of their time to threads that wait for each other, and on some machines to
memory that is handed back to the system after every step only to be asked for again. Both are settings of a
process's environment, so training never runs in the caller's own process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from emocatcher.errors import RunError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_KEEP_MEMORY = str(1 << 30)  # bytes that glibc keeps rather than give back
_report: Callable[[Any], None]


class Workers:
    """A few processes that train; a context manager.

    Args:
        n_workers: processes.
        n_threads: threads of each.
        warm_up: called once in each, so that its imports run while the caller is busy elsewhere.
        on_report: called here, from another thread, with whatever a task passes to `report`.
    """

    def __init__(
        self, n_workers: int, n_threads: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue = context.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, args=(on_report,), daemon=True)
        self._listener.start()
        self._pool = ProcessPoolExecutor(n_workers, context, _start, (self._queue, n_threads, warm_up))
        with _environment(n_threads):
            # The processes start with the first tasks, and take the environment of that moment.
            for _ in range(n_workers):
                self._pool.submit(_nothing)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for process in list(getattr(self._pool, "_processes", None) or {}):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, 15)
        self._queue.put(None)
        self._listener.join(timeout=5)

    def run(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run `function` on every task; outcomes come as they are finished.

        Raises:
            RunError: if a process was killed.
        """
        futures: list[Future[Outcome]] = [self._pool.submit(function, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise RunError(
                "A training process was killed, perhaps for want of memory. What it had saved is whole: "
                "go on with --resume"
            ) from None

    def _listen(self, on_report: Callable[[Any], None]) -> None:
        while (message := self._queue.get()) is not None:
            on_report(message)


def report(message: Any) -> None:
    """Send something to the caller's `on_report`; only inside a task. Ends the process where the caller is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("the process that started this training is gone")
    _report(message)


def _start(queue: Any, n_threads: int, warm_up: Callable[[], None]) -> None:
    global _report
    _report = queue.put
    import torch

    torch.set_num_threads(n_threads)
    warm_up()


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _environment(n_threads: int) -> Iterator[None]:
    changed = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n_threads))
    changed |= dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), _KEEP_MEMORY)
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
