"""Map a function over many inputs in worker processes that may crash: one outcome per input.

Inputs are consumed lazily, so there may be millions of them. If a worker dies, because a file crashes a decoder or
memory runs out, only the input that it was processing is lost.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import util
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import EmoCatcherError, RunError, SettingError
from emocatcher.foundation.executor import EndableExecutor

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_TASK_SIZE = 8  # inputs per task; sending a task takes as long as recognising a short clip
_TASKS_PER_WORKER = 3  # in flight
MAX_WORKERS = 256
_function: Callable[[Any], Any]

_Task: TypeAlias = "tuple[int, list[Any]]"


@runtime_checkable
class Prepared(Protocol):
    """A function that is prepared once in each worker process, before the first item."""

    def prepare(self) -> None:
        """Load what is needed."""


def ordered_map(
    function: Callable[[Item], Outcome],
    items: Iterable[Item],
    *,
    n_workers: int,
    ordered: bool = True,
    on_death: Callable[[Item], Outcome],
) -> Iterator[Outcome]:
    """Call a function on every item.

    Args:
        function: sent to each worker process once, so it may hold a model; an exception that it raises ends the map.
        items: consumed lazily.
        n_workers: number of worker processes; 1 runs in this process, which a crash then ends.
        ordered: whether outcomes come in the order of the items, or as soon as they are ready.
        on_death: returns the outcome of an item that crashed its worker.

    Yields:
        one outcome for each item.

    Raises:
        SettingError: if `n_workers` is out of range.
        RunError: if the worker processes cannot start.
    """
    if not 1 <= n_workers <= MAX_WORKERS:
        raise SettingError(f"{n_workers} workers. Give 1 to {MAX_WORKERS}")
    if n_workers == 1:
        return map(function, items)
    return _mapped(function, items, n_workers, ordered, on_death)


def _mapped(
    function: Callable[[Item], Outcome],
    items: Iterable[Item],
    n_workers: int,
    ordered: bool,
    on_death: Callable[[Item], Outcome],
) -> Iterator[Outcome]:
    tasks: Iterator[_Task] = enumerate(_chunks(items))
    ready: dict[int, list[Outcome]] = {}
    next_number = 0
    with _Processes(function, n_workers) as processes:
        for number, outcomes in _outcomes(processes, tasks, n_workers * _TASKS_PER_WORKER, on_death):
            if not ordered:
                yield from outcomes
                continue
            ready[number] = outcomes
            while next_number in ready:
                yield from ready.pop(next_number)
                next_number += 1


def _outcomes(
    processes: _Processes, tasks: Iterator[_Task], n_in_flight: int, on_death: Callable[[Any], Any]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield each task's number and outcomes as soon as they are ready."""
    in_flight: dict[Future[list[Any]], _Task] = {}
    oldest: deque[int] = deque()  # task numbers; bounds how far the other tasks get ahead of a slow one
    while True:
        while len(in_flight) < n_in_flight and (not oldest or _has_room(oldest, in_flight, n_in_flight)):
            task = next(tasks, None)
            if task is None:
                break
            in_flight[processes.submit(task[1])] = task
            oldest.append(task[0])
        if not in_flight:
            return
        done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
        broken: list[_Task] = []
        for future in done:
            task = in_flight.pop(future)
            try:
                outcomes = future.result()
            except BrokenProcessPool:
                broken.append(task)
                continue
            oldest.remove(task[0])
            yield task[0], outcomes
        if broken:
            # A dead worker breaks every task in flight. Running each item alone shows which one crashed it.
            broken += in_flight.values()
            in_flight.clear()
            processes.restart()
            for number, items in sorted(broken, key=lambda task: task[0]):
                oldest.remove(number)
                yield number, [_run_alone(processes, item, on_death) for item in items]


def _has_room(oldest: deque[int], in_flight: dict[Any, _Task], n_in_flight: int) -> bool:
    newest = max(number for number, _ in in_flight.values()) if in_flight else oldest[0]
    return newest - oldest[0] < 4 * n_in_flight


def _run_alone(processes: _Processes, item: Any, on_death: Callable[[Any], Any]) -> Any:
    try:
        return processes.submit([item]).result()[0]
    except BrokenProcessPool:
        processes.restart()
        return on_death(item)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, _TASK_SIZE)):
        yield chunk


class IsolatedProcess(Generic[Item, Outcome]):
    """One worker process that stays between calls: an item that crashes it, or takes too long, costs its own outcome.

    The process does not import the program's main module, so it starts in any program, such as a worker of Ray.

    Args:
        function: sent to the process once; if it is `Prepared`, its errors are raised here.
        limit_s: limit of wall-clock time for an item, seconds; the process is then replaced.
        on_death: returns the outcome of an item that ended the process twice: once, it may not have been the item.
        on_timeout: returns the outcome of an item that took longer than `limit_s`.

    Raises:
        RunError: if the process cannot start.
    """

    def __init__(
        self,
        function: Callable[[Item], Outcome],
        *,
        limit_s: float,
        on_death: Callable[[Item], Outcome],
        on_timeout: Callable[[Item], Outcome],
    ) -> None:
        self._limit_s, self._on_death, self._on_timeout = limit_s, on_death, on_timeout
        self._function = function
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._processes = _Processes(self._function, 1, imports_main=False).__enter__()
        # A worker of `multiprocessing` waits at its own end for processes that it has started, but calls this before.
        self._ending = util.Finalize(self, self._processes.end, exitpriority=0)

    def end(self) -> None:
        """End the process; the next call of `map` starts another one."""
        self._ending()

    def map(self, items: Sequence[Item]) -> list[Outcome]:
        """Call the function on every item, one after the other; return one outcome for each, in order.

        An exception that the function raises ends the map and the process.
        """
        if os.getpid() != self._pid or not self._ending.still_active():  # after a fork, the process is of the other one
            self._start()
        outcomes: list[Outcome] = []
        try:
            while len(outcomes) < len(items):
                outcomes += self._until_end(items[len(outcomes) :])
        except BaseException:  # after Ctrl-C, the program would wait at its end for an item that may take for ever
            self.end()
            raise
        return outcomes

    def _until_end(self, items: Sequence[Item]) -> list[Outcome]:
        """Return the outcomes of all items, or of those up to the first one that ended the process."""
        # All are submitted at once, so that the process never waits for the next one.
        futures = [self._processes.submit([item]) for item in items]
        outcomes: list[Outcome] = []
        for item, future in zip(items, futures, strict=True):
            try:
                outcomes += future.result(self._limit_s)
            except TimeoutError:
                self._processes.restart()
                return [*outcomes, self._on_timeout(item)]
            except BrokenProcessPool:
                self._processes.restart()
                return [*outcomes, self._again(item)]
        return outcomes

    def _again(self, item: Item) -> Outcome:
        try:
            outcome: Outcome = self._processes.submit([item]).result(self._limit_s)[0]
        except TimeoutError:
            self._processes.restart()
            return self._on_timeout(item)
        except BrokenProcessPool:
            self._processes.restart()
            return self._on_death(item)
        return outcome


class _Processes:
    """A process pool that can be restarted when a worker has died."""

    def __init__(self, function: Callable[[Any], Any], n_workers: int, *, imports_main: bool = True) -> None:
        self._function, self._n_workers, self._imports_main = function, n_workers, imports_main

    def __enter__(self) -> _Processes:
        self._pool = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._pool.end()

    def submit(self, items: Sequence[Any]) -> Future[list[Any]]:
        try:
            return self._pool.submit(_run, items)
        except BrokenProcessPool:
            # The pool broke between two tasks, so nothing was lost.
            self.restart()
            return self._pool.submit(_run, items)

    def restart(self) -> None:
        self._pool.end()
        self._pool = self._start()

    def _start(self) -> EndableExecutor:
        pool = EndableExecutor(self._n_workers, _initialise, (self._function,), imports_main=self._imports_main)
        with process_setup.single_threaded():
            # The processes start with the first tasks and inherit the environment of that moment.
            started = [pool.submit(_prepare) for _ in range(self._n_workers)]
        try:
            started[0].result()
        except EmoCatcherError:
            pool.end()
            raise
        except BrokenProcessPool:
            pool.shutdown(wait=False, cancel_futures=True)
            raise RunError(
                "The worker processes exit on start. A script that uses workers must do so under "
                "`if __name__ == '__main__':`. If it does, memory may have run out: try workers=1"
            ) from None
        return pool


def _initialise(function: Callable[[Any], Any]) -> None:
    global _function
    # Ctrl-C reaches every process of the terminal; only the parent handles it, and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_setup.exit_with_parent()
    process_setup.keep_memory()
    _function = function


def _run(items: Sequence[Any]) -> list[Any]:
    return [_function(item) for item in items]


def _prepare() -> None:
    """Load what the function needs, so that it counts for no item; an error of it reaches the parent process."""
    if isinstance(_function, Prepared):
        _function.prepare()
