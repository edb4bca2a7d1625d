"""One worker process as the event loop sees it: tasks go in one after the other, and their answers come back."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from typing import Any, NamedTuple, cast

from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import EmoCatcherError
from emocatcher.server import tasks
from emocatcher.server.limits import Limits

_WORKER = "emocatcher.server.worker"
_STUBBORN_S = 5.0  # until a process that was asked to end is made to

# Starting and burying processes waits for them; one at a time, for multiprocessing keeps lists of them.
_undertaker = ThreadPoolExecutor(1, "processes")


class RefusedError(EmoCatcherError):
    """A task that has no answer.

    Args:
        error: the exception's class, as the client is told.
        detail: what was wrong and what to do next.
    """

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail

    def __reduce__(self) -> tuple[type[RefusedError], tuple[str, str]]:
        return type(self), (self.error, self.detail)


class NotBegunError(RefusedError):
    """A task that stood behind the one at which its process ended: another process may do it."""


def died() -> RefusedError:
    """What became of a task whose process ended before it was done."""
    detail = "the process that read it ended before its time: killed, or brought down by the file"
    return RefusedError("WorkerDied", detail)


def prepare() -> None:
    """Have the process from which the workers fork off load what they need; returns at once."""
    multiprocessing.set_forkserver_preload([_WORKER])
    with process_setup.single_threaded():
        forkserver.ensure_running()


class _Waiting(NamedTuple):
    answer: asyncio.Future[bytes]
    limit_s: float  # by the clock, from when its turn comes


class Process(asyncio.Protocol):
    """A worker process.

    Args:
        folder: the model's; None for the one that comes with the package.
        limits: of the server.
        spool: the folder of the uploads.
        on_end: called when the process has ended, whatever the reason.
    """

    def __init__(self, folder: str | None, limits: Limits, spool: str, on_end: Callable[[Process], None]) -> None:
        self._arguments = folder, limits, spool
        self._on_end = on_end
        self._waiting: deque[_Waiting] = deque()
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()
        self._overran = False
        self._transport: asyncio.Transport
        self._process: Any = None

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid if self._process is not None else None

    @property
    def n_waiting(self) -> int:
        """Tasks without an answer, the one under way among them."""
        return len(self._waiting)

    async def start(self) -> bytes:
        """Start it, and wait until it is warm.

        Returns:
            the model's description, as JSON.

        Raises:
            RefusedError: if it cannot start; `error` says of what kind.
        """
        loop = asyncio.get_running_loop()
        self._loop = loop
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        # Before there is a connection: one that fails at once has answered by the time that this goes on.
        warm = self._expect(float("inf"))
        try:
            with theirs:
                await loop.run_in_executor(_undertaker, self._start, theirs)
            await loop.create_connection(lambda: self, sock=ours)
        except OSError as error:
            ours.close()
            raise RefusedError("OSError", f"a worker process cannot be started: {error.strerror}") from error
        return await warm

    def _start(self, connection: socket.socket) -> None:
        from emocatcher.server import worker_start

        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=worker_start.worker, args=(connection, *self._arguments), daemon=True)
        with process_setup.single_threaded():
            self._process.start()

    def ask(self, task: tasks.Task, limit_s: float) -> asyncio.Future[bytes]:
        """Put a task at the end of the line.

        Args:
            task: what to do.
            limit_s: by the clock; a process that takes longer is killed.

        Returns:
            the answer's payload, or a `RefusedError`.
        """
        if self._ended.is_set():
            raise died()
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
        """Have it end when it has answered what it was asked, or soon after."""
        if self._process is None:
            return
        if not self._ended.is_set():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            try:
                await asyncio.wait_for(self._ended.wait(), _STUBBORN_S)
            except TimeoutError:
                self.kill()
        await self._loop.run_in_executor(_undertaker, self._bury)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.pid is not None:
            self._process.kill()

    def _bury(self) -> None:
        self._process.join(_STUBBORN_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Some bytes of answers."""
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
            if waiting.answer.done():  # nobody waits for it any more
                continue
            if isinstance(answer, tasks.Done):
                waiting.answer.set_result(answer.payload)
            else:
                waiting.answer.set_exception(RefusedError(answer.error, answer.detail))

    def connection_lost(self, _: Exception | None) -> None:
        """The process has ended."""
        self._ended.set()
        error = died()
        if self._overran:
            detail = f"it took longer than {self._waiting[0].limit_s:g} s to recognise. Cut it into shorter recordings"
            error = RefusedError("TimeLimitExceeded", detail)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
            error = NotBegunError("WorkerDied", died().detail)
        self._set_timer()
        self._on_end(self)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._waiting[0].limit_s != float("inf"):
            self._timer = self._loop.call_later(self._waiting[0].limit_s, self._overrun)

    def _overrun(self) -> None:
        self._overran = bool(self._waiting)
        self.kill()
