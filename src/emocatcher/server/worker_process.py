"""Control one worker process from the event loop: send it tasks one after the other, and receive its answers."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver, util
from typing import Any, NamedTuple, cast

from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import EmoCatcherError
from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.temporary_folder import TemporaryFolder

_WORKER = "emocatcher.server.worker"
TIME_LIMIT = "TimeLimitExceeded"
_STOP_TIMEOUT_S = 5.0  # until a process that does not end is killed

# Starting and joining processes blocks, so a thread does it; a single one, because multiprocessing keeps lists of them.
_executor = ThreadPoolExecutor(1, "processes")


class RefusedError(EmoCatcherError):
    """A task that failed or was refused.

    Args:
        error: the exception's class, as reported to the client.
        detail: what was wrong and what to do next.
    """

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail

    def __reduce__(self) -> tuple[type[RefusedError], tuple[str, str]]:
        return type(self), (self.error, self.detail)


class NotStartedError(RefusedError):
    """A task that was queued behind the one during which its process ended: another process can take it."""


def worker_died() -> RefusedError:
    """Return the error for a task whose process ended before it was done."""
    detail = "its worker process ended unexpectedly: killed, or crashed by the file. Send it again, or leave it out"
    return RefusedError("WorkerDied", detail)


def prepare(folder: TemporaryFolder) -> None:
    """Start loading the workers' imports in the process that they fork from; return at once.

    Args:
        folder: the server's temporary folder.
    """
    multiprocessing.set_forkserver_preload([_WORKER])
    with process_setup.single_threaded():
        forkserver.ensure_running()
    folder.link(util.get_temp_dir())


class _Waiting(NamedTuple):
    answer: asyncio.Future[bytes]
    limit_s: float  # wall-clock time, from when the task is next in line


class Process(asyncio.Protocol):
    """A worker process.

    Args:
        folder: the model folder; None for the default model of the package.
        limits: the server's limits.
        spool: the folder of temporary files.
        on_end: called when the process has ended, for any reason.
    """

    def __init__(self, folder: str | None, limits: Limits, spool: str, on_end: Callable[[Process], None]) -> None:
        self._arguments = folder, limits, spool
        self._on_end = on_end
        self._waiting: deque[_Waiting] = deque()
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()
        self._late: _Waiting | None = None  # the task that took too long
        self._transport: asyncio.Transport | None = None
        self._process: Any = None  # once it has started

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid if self._process is not None else None

    @property
    def n_waiting(self) -> int:
        """The number of unanswered tasks, including the current one."""
        return len(self._waiting)

    async def start(self) -> bytes:
        """Start the process, and wait until it is warmed up.

        Returns:
            the model's description, as JSON.

        Raises:
            RefusedError: if it cannot start; `error` is the kind.
        """
        loop = asyncio.get_running_loop()
        self._loop = loop
        limit_s = self._arguments[1].start_s
        # Before the connection is made, because a process that fails at once may answer before this coroutine resumes.
        warm = self._expect(limit_s)
        try:
            ours, theirs = socket.socketpair()
            try:
                ours.setblocking(False)
                with theirs:
                    await loop.run_in_executor(_executor, self._start, theirs)
                await loop.create_connection(lambda: self, sock=ours)
            except BaseException:
                ours.close()  # which ends the process, if there is one
                raise
        except (OSError, EOFError) as error:  # EOFError if the process that forks it ends
            reason = getattr(error, "strerror", None) or "the process that forks it has ended"
            raise RefusedError(type(error).__name__, f"a worker process cannot be started: {reason}") from error
        try:
            return await warm
        except RefusedError as error:
            if error.error == TIME_LIMIT:
                raise RefusedError(TIME_LIMIT, f"a worker process was not ready after {limit_s:g} s") from None
            raise

    def _start(self, connection: socket.socket) -> None:
        from emocatcher.server import worker_start

        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=worker_start.worker, args=(connection, *self._arguments), daemon=True)
        with process_setup.single_threaded():
            process.start()
        self._process = process

    def submit(self, task: tasks.Task, limit_s: float) -> asyncio.Future[bytes]:
        """Send a task to the end of the process's queue.

        Args:
            task: the task.
            limit_s: limit of wall-clock time; a process that takes longer is killed.

        Returns:
            a future of the answer's payload, or of a `RefusedError`.

        Raises:
            RefusedError: if the process has ended.
        """
        if self._transport is None or self._ended.is_set():
            raise worker_died()
        answer = self._expect(limit_s)
        self._transport.write(tasks.frame(task))
        return answer

    def _expect(self, limit_s: float) -> asyncio.Future[bytes]:
        answer = self._loop.create_future()
        self._waiting.append(_Waiting(answer, limit_s))
        if len(self._waiting) == 1:
            self._set_timer()
        return answer

    async def stop(self) -> None:
        """Let the process answer its tasks and end; kill it if that takes too long."""
        if self._process is None:
            return
        if self._transport is not None and not self._ended.is_set():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            try:
                await asyncio.wait_for(self._ended.wait(), _STOP_TIMEOUT_S)
            except TimeoutError:
                self.kill()
        await self._loop.run_in_executor(_executor, self._join)

    def kill(self) -> None:
        """Kill the process at once."""
        if self._process is not None:
            self._process.kill()

    def _join(self) -> None:
        self._process.join(_STOP_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of the open socket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from asyncio.Transport

    def data_received(self, data: bytes) -> None:
        """Decode received bytes, and set the results of the answered tasks."""
        buffer = self._buffer
        buffer += data
        size = tasks.LENGTH.size
        while len(buffer) >= size:
            end = size + tasks.LENGTH.unpack_from(buffer)[0]
            if len(buffer) < end:
                return
            answer = tasks.answer_decoder.decode(memoryview(buffer)[size:end])
            del buffer[:end]
            waiting = self._waiting.popleft()
            self._set_timer()
            if waiting.answer.done():  # cancelled by the caller
                continue
            if isinstance(answer, tasks.Done):
                waiting.answer.set_result(answer.payload)
            else:
                waiting.answer.set_exception(RefusedError(answer.error, answer.detail))

    def connection_lost(self, _: Exception | None) -> None:
        """Fail the unanswered tasks, because the process has ended."""
        self._ended.set()
        error = worker_died()
        if self._waiting and self._waiting[0] is self._late:
            detail = f"it took longer than {self._late.limit_s:g} s to recognise. Cut it into shorter recordings"
            error = RefusedError(TIME_LIMIT, detail)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
            error = NotStartedError("WorkerDied", worker_died().detail)
        self._set_timer()
        self._on_end(self)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._waiting[0].limit_s != float("inf"):
            self._timer = self._loop.call_later(self._waiting[0].limit_s, self._on_timeout)

    def _on_timeout(self) -> None:
        self._late = self._waiting[0]
        self.kill()
