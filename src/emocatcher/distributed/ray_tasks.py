"""Run the tasks of a job on Ray: a few at a time, again after the death of a worker or a node.

Tasks of Ray, not Ray Data: there, a row that ends its worker is tried again for ever, or is left out without a trace.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from emocatcher.distributed.row_ranges import Rows
from emocatcher.distributed.row_work import Tables
from emocatcher.foundation.errors import EmoCatcherError

_TASKS_PER_CPU = 2  # one runs while the next one waits at its worker
_CPUS_KNOWN_S = 5.0  # how long a cluster's size is taken as known: nodes come and go
_WAIT_S = 1.0  # so that progress is shown, and Ctrl-C is noticed
_MOST_DEATHS = 4  # of one task, without those of its node
_MOST_NODES = 50


class Task(NamedTuple):
    """Some rows that are being recognised."""

    rows: Rows
    table: Any
    n_deaths: int = 0
    n_nodes: int = 0  # that were lost with it


class Result(NamedTuple):
    """What became of some rows; without tables if every attempt ended in the death of its worker."""

    rows: Rows
    tables: Tables | None


def results(
    work: Callable[[Any], Tables], parts: Iterator[tuple[Rows, Any]], num_cpus: int | None
) -> Iterator[Result | None]:
    """Run a function on each part, on any node; yield what it returns as soon as it is ready, else None each second.

    Parts are taken only when there is room for them, so memory is bounded whatever their number.

    Args:
        work: called with the Arrow table of a part, in a worker process that keeps what it has loaded.
        parts: rows, and the Arrow table of them; consumed lazily.
        num_cpus: how many CPUs of a cluster to use; None for all.

    Raises:
        EmoCatcherError: if the work raises one: another part would end the same way.
    """
    import ray

    size = _Size(num_cpus)
    run = ray.remote(num_cpus=1, max_retries=0)(_run)
    shared = ray.put(work)
    flying: dict[Any, Task] = {}
    again: list[Task] = []
    try:
        while True:
            while len(flying) < size.now():
                task = again.pop() if again else next((Task(*part) for part in parts), None)
                if task is None:
                    break
                flying[run.remote(shared, task.table)] = task
            if not flying:
                return
            ready, _ = ray.wait(list(flying), num_returns=1, timeout=_WAIT_S)
            if not ready:
                yield None
            for reference in ready:
                task = flying.pop(reference)
                try:
                    tables = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, EmoCatcherError):
                        raise error.cause from None
                    raise
                except ray.exceptions.RayError as error:
                    node = isinstance(error, ray.exceptions.NodeDiedError | ray.exceptions.ObjectLostError)
                    task = task._replace(n_deaths=task.n_deaths + (not node), n_nodes=task.n_nodes + node)
                    if task.n_deaths < _MOST_DEATHS and task.n_nodes < _MOST_NODES:
                        again.append(task)
                    else:
                        yield Result(task.rows, None)
                    continue
                yield Result(task.rows, tables)
    finally:
        for reference in flying:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.cancel(reference, force=True)


class _Size:
    """How many tasks to have at a time."""

    def __init__(self, num_cpus: int | None) -> None:
        self._num_cpus, self._asked_at, self._known = num_cpus, -_CPUS_KNOWN_S, 0

    def now(self) -> int:
        if self._num_cpus is not None:
            return self._num_cpus
        if time.monotonic() > self._asked_at + _CPUS_KNOWN_S:
            import ray

            self._known = _TASKS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 0)))
            self._asked_at = time.monotonic()
        return self._known


def _run(work: Callable[[Any], Tables], table: Any) -> Tables:
    return work(table)
