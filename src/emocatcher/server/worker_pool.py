"""The worker processes together: each task goes to one that is free, and a process that ended is replaced."""

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

from emocatcher.foundation.errors import ModelError
from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.worker_process import NotBegunError, Process, RefusedError

_AHEAD = 2  # quick tasks a process holds: it begins the next one without waiting for the event loop
_FORGET = 0.05  # of the mean time of a task, with each new one
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0  # before a process that could not start is tried again
_log = logging.getLogger(__name__)


class BusyError(RefusedError):
    """There is more to do than may wait.

    Args:
        detail: what is too much.
        retry_after_s: when to ask again, seconds.
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
    """Processes that recognise.

    Args:
        folder: the model's; None for the one that comes with the package.
        limits: of the server.
        n_workers: processes.
        spool: the folder of the uploads.
    """

    def __init__(self, folder: str | None, limits: Limits, n_workers: int, spool: str) -> None:
        self._arguments = folder, limits, spool
        self._limits, self._n_workers = limits, n_workers
        self._most_slow = max(n_workers - 1, 1)  # so that one is left for those who are quickly served
        self._processes: dict[Process, int] = {}  # ready, and how many slow tasks each is at
        self._starting: set[asyncio.Task[None]] = set()
        self._quick: deque[_Job] = deque()
        self._slow: deque[_Job] = deque()
        self._numbers = itertools.count()
        self._mean_s = 0.01
        self._stopping = False
        self.n_deaths = 0
        self.description = b""  # of the model, as JSON; known with the first process
        self.failure: RefusedError | None = None  # why no process can start

    @property
    def is_ready(self) -> bool:
        """Whether all processes are there."""
        return len(self._processes) >= self._n_workers

    @property
    def n_queued(self) -> int:
        """Tasks that wait for a process."""
        return len(self._quick) + len(self._slow)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that are there."""
        return [process.pid for process in self._processes if process.pid is not None]

    def start(self) -> None:
        """Begin to start the processes."""
        for _ in range(self._n_workers):
            self._begin_one()

    async def stop(self) -> None:
        """End the processes; what was asked of them is answered first."""
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

    async def ready(self) -> Process:
        """The process that has least to do; waits a while for one.

        Raises:
            BusyError: if there is none.
        """
        for _ in range(round(_LONGEST_WAIT_S / _FIRST_WAIT_S)):
            if self._processes:
                return min(self._processes, key=lambda process: process.n_waiting)
            await asyncio.sleep(_FIRST_WAIT_S)
        raise BusyError("no worker process is ready. Ask again in a moment")

    def check_room(self) -> None:
        """Refuse early what would be refused later.

        Raises:
            BusyError: if no more tasks may wait.
        """
        if self.n_queued >= self._limits.queue:
            wait_s = max(math.ceil(self.n_queued * self._mean_s / self._n_workers), 1)
            raise BusyError(f"{self.n_queued} recordings wait already. Ask again in {wait_s} s", wait_s)

    def ask(self, task: tasks.Task, limit_s: float, *, slow: bool = False) -> asyncio.Future[bytes]:
        """Have a task done by the next process that is free.

        Args:
            task: what to do.
            limit_s: a process that takes longer is killed.
            slow: whether it may take seconds; such tasks never hold all the processes, where there are several.

        Returns:
            the answer's payload, or a `RefusedError`.

        Raises:
            BusyError: if no more tasks may wait.
        """
        self.check_room()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        (self._slow if slow else self._quick).append(_Job(next(self._numbers), task, limit_s, slow, answer))
        self._share_out()
        return answer

    async def ask_all(self, several: Sequence[tasks.Task], limit_s: float) -> list[bytes | RefusedError]:
        """Have many tasks done, a few at a time, so that others are served between them.

        Raises:
            BusyError: if not even the first may wait.
        """
        self.check_room()
        at_once = asyncio.Semaphore(_AHEAD * self._n_workers)

        async def one(task: tasks.Task) -> bytes | RefusedError:
            async with at_once:
                while True:
                    try:
                        return await self.ask(task, limit_s)
                    except BusyError:
                        await asyncio.sleep(0.05)
                    except RefusedError as error:
                        return error

        return await asyncio.gather(*map(one, several))

    def _share_out(self) -> None:
        while self._processes:
            process = min(self._processes, key=lambda process: (self._processes[process], process.n_waiting))
            queue = self._next_queue()
            if queue is None or self._processes[process] or process.n_waiting >= _AHEAD:
                return
            job = queue.popleft()
            if not job.answer.done():  # whoever asked has not left
                self._give(process, job)

    def _next_queue(self) -> deque[_Job] | None:
        n_slow = sum(self._processes.values())
        slow = self._slow if self._slow and n_slow < self._most_slow else None
        if slow is None or not self._quick:
            return slow or (self._quick or None)
        return slow if slow[0].number < self._quick[0].number else self._quick

    def _give(self, process: Process, job: _Job) -> None:
        self._processes[process] += job.slow
        began = time.perf_counter()
        answer = process.ask(job.task, job.limit_s)

        def finished(given: asyncio.Future[bytes]) -> None:
            if process in self._processes:
                self._processes[process] -= job.slow
            error = given.exception()
            if isinstance(error, NotBegunError) and not self._stopping:
                (self._slow if job.slow else self._quick).appendleft(job)
            elif not job.answer.done():
                if error is None:
                    job.answer.set_result(given.result())
                else:
                    job.answer.set_exception(error)
            self._mean_s += _FORGET * (time.perf_counter() - began - self._mean_s)
            self._share_out()

        answer.add_done_callback(finished)

    def _begin_one(self, wait_s: float = 0.0) -> None:
        starting = asyncio.get_running_loop().create_task(self._start_one(wait_s))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start_one(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        process = Process(*self._arguments, self._ended)
        try:
            self.description = await process.start()
        except RefusedError as error:
            if self.failure is None and error.error != ModelError.__name__:  # which ends the server, and is told then
                _log.error("A worker process cannot start: %s", error.detail)
            self.failure = error
            await process.stop()
            if not self._stopping:
                self._begin_one(min(max(2 * wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S))
            return
        except asyncio.CancelledError:
            process.kill()
            await process.stop()
            raise
        self.failure = None
        self._processes[process] = 0
        self._share_out()

    def _ended(self, process: Process) -> None:
        if self._processes.pop(process, None) is None or self._stopping:
            return
        self.n_deaths += 1
        _log.warning("Worker process %s ended before its time; another one takes its place", process.pid)
        self._begin_one()
        with contextlib.suppress(RuntimeError):  # the loop is closing
            asyncio.get_running_loop().create_task(process.stop())
