"""Many inputs over a few processes, whatever becomes of a process: one outcome for each input.

Inputs are taken as they are needed, so there may be millions of them. A process that dies, on a file that brings a
decoder down or for want of memory, takes nothing along but the input it was at.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeAlias, TypeVar

from emocatcher import machine
from emocatcher.errors import RunError, SettingError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_CHUNK = 8  # inputs in a task: sending one costs as much as a short clip
_AHEAD = 3  # tasks in flight for each process
MOST_WORKERS = 256
_function: Callable[[Any], Any]

_Task: TypeAlias = "tuple[int, list[Any]]"


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
        function: sent once to each process, so it may hold a model; what it raises ends the whole.
        items: taken as they are needed.
        n_workers: processes; 1 works in this one, where nothing guards against a crash.
        ordered: whether outcomes come in the order of the items, or as they are ready.
        on_death: gives the outcome of an item that brought its process down.

    Yields:
        one outcome for each item.

    Raises:
        SettingError: if `n_workers` is not allowed.
        RunError: if no process can be started.
    """
    if not 1 <= n_workers <= MOST_WORKERS:
        raise SettingError(f"{n_workers} workers. Give 1 to {MOST_WORKERS}")
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
    wanted = 0
    with _Processes(function, n_workers) as processes:
        for number, outcomes in _outcomes(processes, tasks, n_workers * _AHEAD, on_death):
            if not ordered:
                yield from outcomes
                continue
            ready[number] = outcomes
            while wanted in ready:
                yield from ready.pop(wanted)
                wanted += 1


def _outcomes(
    processes: _Processes, tasks: Iterator[_Task], n_in_flight: int, on_death: Callable[[Any], Any]
) -> Iterator[tuple[int, list[Any]]]:
    """Each task's outcomes, as they are ready."""
    in_flight: dict[Future[list[Any]], _Task] = {}
    oldest: deque[int] = deque()  # so that one slow task does not let the others run on without end
    while True:
        while len(in_flight) < n_in_flight and (not oldest or _room(oldest, in_flight, n_in_flight)):
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
            # One death breaks every task that was under way; whose it was shows when each item goes alone.
            broken += in_flight.values()
            in_flight.clear()
            processes.renew()
            for number, items in sorted(broken, key=lambda task: task[0]):
                oldest.remove(number)
                yield number, [_alone(processes, item, on_death) for item in items]


def _room(oldest: deque[int], in_flight: dict[Any, _Task], n_in_flight: int) -> bool:
    newest = max(number for number, _ in in_flight.values()) if in_flight else oldest[0]
    return newest - oldest[0] < 4 * n_in_flight


def _alone(processes: _Processes, item: Any, on_death: Callable[[Any], Any]) -> Any:
    try:
        return processes.submit([item]).result()[0]
    except BrokenProcessPool:
        processes.renew()
        return on_death(item)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


class _Processes:
    """A pool that can be made anew when one of its processes has died."""

    def __init__(self, function: Callable[[Any], Any], n_workers: int) -> None:
        self._function, self._n_workers = function, n_workers

    def __enter__(self) -> _Processes:
        self._pool = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def submit(self, items: Sequence[Any]) -> Future[list[Any]]:
        try:
            return self._pool.submit(_run, items)
        except BrokenProcessPool:
            # It broke between two tasks; nothing was lost.
            self.renew()
            return self._pool.submit(_run, items)

    def renew(self) -> None:
        self._end()
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self._n_workers, context, _begin, (self._function,))
        with machine.single_threaded():
            # The processes start with the first tasks, and take the environment of that moment.
            started = [pool.submit(_nothing) for _ in range(self._n_workers)]
        try:
            started[0].result()
        except BrokenProcessPool:
            pool.shutdown(wait=False, cancel_futures=True)
            raise RunError(
                "The worker processes end as they start. A script that calls for workers needs "
                "`if __name__ == '__main__':` around that; otherwise there may be no memory left: try workers=1"
            ) from None
        return pool

    def _end(self) -> None:
        # The pool forgets its processes as it shuts down, and would wait for a hanging one.
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _begin(function: Callable[[Any], Any]) -> None:
    global _function
    # Ctrl-C reaches every process of the terminal; the caller alone answers it, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    machine.leave_with_the_caller()
    machine.keep_memory()
    _function = function


def _run(items: Sequence[Any]) -> list[Any]:
    return [_function(item) for item in items]


def _nothing() -> None:
    pass
