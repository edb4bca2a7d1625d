"""Manage the worker processes: assign each task to a free one, and replace processes that end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from emocatcher.foundation.errors import ModelError, one_line
from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.worker_process import NotStartedError, Process, RefusedError

_AHEAD = 2  # quick tasks per process, so that it begins the next one without waiting for the event loop
_SMOOTHING = 0.05  # weight of each new task in the moving average of task times
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0  # before the start of a failed process is retried
_log = logging.getLogger(__name__)


class BusyError(RefusedError):
    """The queue of waiting tasks or the space for uploads is full.

    Args:
        detail: what is full.
        retry_after_s: time until the next attempt, in seconds.
    """

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__("Busy", detail)
        self.retry_after_s = retry_after_s


class _Job(NamedTuple):
    number: int
    task: tasks.Task
    limit_s: float
    slow: bool
    answer: asyncio.Future[bytes]


class Pool:
    """Worker processes with a shared queue of tasks.

    Args:
        folder: the model folder; None for the default model of the package.
        limits: the server's limits.
        n_workers: number of processes.
        spool: the folder of temporary files.
    """

    def __init__(self, folder: str | None, limits: Limits, n_workers: int, spool: str) -> None:
        self._arguments = folder, limits, spool
        self._limits, self._n_workers = limits, n_workers
        self._max_slow = max(n_workers - 1, 1)  # so that one process is left for quick tasks
        self._processes: dict[Process, int] = {}  # ready processes with their numbers of slow tasks
        self._starting: set[asyncio.Task[None]] = set()
        self._quick: deque[_Job] = deque()
        self._slow: deque[_Job] = deque()
        self._numbers = itertools.count()
        self._mean_s = 0.01
        self._stopping = False
        self.n_deaths = 0
        self.description = b""  # of the model, as JSON; set when the first process is ready
        self.failure: RefusedError | None = None  # the reason why no process can start

    @property
    def is_ready(self) -> bool:
        """Whether all processes are ready."""
        return len(self._processes) >= self._n_workers

    @property
    def n_queued(self) -> int:
        """Tasks that wait for a process."""
        return len(self._quick) + len(self._slow)

    @property
    def pids(self) -> list[int]:
        """The ids of the ready processes."""
        return [process.pid for process in self._processes if process.pid is not None]

    def start(self) -> None:
        """Launch the processes, without waiting for them."""
        for _ in range(self._n_workers):
            self._launch()

    async def stop(self) -> None:
        """Refuse the queued tasks, and end the processes after their current tasks."""
        self._stopping = True
        for job in (*self._quick, *self._slow):
            if not job.answer.done():
                job.answer.set_exception(RefusedError("ServerStopping", "the server is being stopped"))
        self._quick.clear()
        self._slow.clear()
        for starting in tuple(self._starting):
            starting.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in tuple(self._processes)))

    async def least_busy(self) -> Process:
        """Return the process with the fewest tasks; wait up to 10 s until one is ready.

        Raises:
            BusyError: if none is ready by then.
        """
        for _ in range(round(_LONGEST_WAIT_S / _FIRST_WAIT_S)):
            if self._processes:
                return min(self._processes, key=lambda process: process.n_waiting)
            await asyncio.sleep(_FIRST_WAIT_S)
        raise BusyError("no worker process is ready. Try again in a moment")

    def check_room(self) -> None:
        """Check that the queue has room, so that a request can be refused before its body is read.

        Raises:
            BusyError: if the queue is full.
        """
        if self.n_queued >= self._limits.queue:
            wait_s = max(math.ceil(self.n_queued * self._mean_s / self._n_workers), 1)
            raise BusyError(f"{self.n_queued} recordings are already queued. Try again in {wait_s} s", wait_s)

    def submit(self, task: tasks.Task, limit_s: float, *, slow: bool = False) -> asyncio.Future[bytes]:
        """Queue a task for the next free process.

        Args:
            task: the task.
            limit_s: a process that takes longer is killed.
            slow: whether the task may take seconds; slow tasks leave one process free if there are several.

        Returns:
            a future of the answer's payload, or of a `RefusedError`.

        Raises:
            BusyError: if the queue is full.
        """
        self.check_room()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        (self._slow if slow else self._quick).append(_Job(next(self._numbers), task, limit_s, slow, answer))
        self._assign_jobs()
        return answer

    async def submit_all(self, several: Sequence[tasks.Task], limit_s: float) -> list[bytes | RefusedError]:
        """Process many tasks, a few at a time, so that other requests are served between them.

        Raises:
            BusyError: if the queue is full at the start.
        """
        self.check_room()
        at_once = asyncio.Semaphore(_AHEAD * self._n_workers)

        async def one(task: tasks.Task) -> bytes | RefusedError:
            async with at_once:
                while True:
                    try:
                        return await self.submit(task, limit_s)
                    except BusyError:
                        await asyncio.sleep(0.05)
                    except RefusedError as error:
                        return error

        return await asyncio.gather(*map(one, several))

    def _assign_jobs(self) -> None:
        while self._processes:
            process = min(self._processes, key=lambda process: (self._processes[process], process.n_waiting))
            queue = self._next_queue()
            if queue is None or self._processes[process] or process.n_waiting >= _AHEAD:
                return
            job = queue.popleft()
            if not job.answer.done():  # the client is still connected
                self._assign(process, job)

    def _next_queue(self) -> deque[_Job] | None:
        n_slow = sum(self._processes.values())
        slow = self._slow if self._slow and n_slow < self._max_slow else None
        if slow is None or not self._quick:
            return slow or (self._quick or None)
        return slow if slow[0].number < self._quick[0].number else self._quick

    def _assign(self, process: Process, job: _Job) -> None:
        self._processes[process] += job.slow
        began = time.perf_counter()
        answer = process.submit(job.task, job.limit_s)

        def finished(result: asyncio.Future[bytes]) -> None:
            if process in self._processes:
                self._processes[process] -= job.slow
            error = result.exception()
            if isinstance(error, NotStartedError) and not self._stopping:
                (self._slow if job.slow else self._quick).appendleft(job)
            elif not job.answer.done():
                if error is None:
                    job.answer.set_result(result.result())
                else:
                    job.answer.set_exception(error)
            self._mean_s += _SMOOTHING * (time.perf_counter() - began - self._mean_s)
            self._assign_jobs()

        answer.add_done_callback(finished)

    def _launch(self, wait_s: float = 0.0) -> None:
        starting = asyncio.get_running_loop().create_task(self._start_one(wait_s))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start_one(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        process = Process(*self._arguments, self._ended)
        try:
            self.description = await process.start()
        except asyncio.CancelledError:
            process.kill()
            await process.stop()
            raise
        except Exception as error:  # whatever happened, the pool tries again: nothing else would
            if not isinstance(error, RefusedError):
                error = RefusedError(type(error).__name__, f"a worker process cannot be started: {one_line(error)}")
            if self.failure is None and error.error != ModelError.__name__:  # a ModelError is raised by the server
                _log.error("A worker process cannot start: %s", error.detail)
            self.failure = error
            if not self._stopping:
                self._launch(min(max(2 * wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S))
            await process.stop()
            return
        self.failure = None
        self._processes[process] = 0
        self._assign_jobs()

    def _ended(self, process: Process) -> None:
        if self._processes.pop(process, None) is None or self._stopping:
            return
        self.n_deaths += 1
        _log.warning("Worker process %s ended unexpectedly; a new one is started", process.pid)
        self._launch()
        with contextlib.suppress(RuntimeError):  # the loop is closing
            asyncio.get_running_loop().create_task(process.stop())
