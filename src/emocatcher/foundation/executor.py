"""A process pool that can be ended at any moment, even while its processes are busy."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import current_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.reduction import DupFd
from types import ModuleType
from typing import Any

_END_TIMEOUT_S = 5.0  # until a process that does not end is killed


class EndableExecutor(ProcessPoolExecutor):
    """A pool of spawned processes that need not wait for running tasks, unlike `ProcessPoolExecutor`.

    Args:
        n_workers: number of processes.
        initializer: called in each process on its start.
        arguments: of the initializer.
        imports_main: as for `PoolContext`.
    """

    def __init__(
        self, n_workers: int, initializer: Callable[..., None], arguments: tuple[Any, ...], *, imports_main: bool = True
    ) -> None:
        self._spawning = PoolContext(imports_main=imports_main)
        super().__init__(n_workers, self._spawning, initializer, arguments)

    def end(self) -> None:
        """Terminate all processes and wait until they have ended; unfinished tasks are lost."""
        self.shutdown(wait=False, cancel_futures=True)
        started = [process for process in self._spawning.processes if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join(_END_TIMEOUT_S)
            if process.is_alive():  # it ignores the signal, or is stopped
                process.kill()
                process.join()


class PoolContext(SpawnContext):
    """Creates processes and keeps a list of them, and locks without names.

    Python's executor does not publish its processes. The names of Python's own locks would stay in /dev/shm for ever if
    the whole program were killed.

    Args:
        imports_main: whether a process imports the main module of this program, as Python does by default. Without, a
            script needs no `if __name__ == "__main__":`, and a program that only calls this package, such as the worker
            of Ray or Spark, is not loaded a second time; functions that the main module defines cannot be sent.
    """

    def __init__(self, *, imports_main: bool = True) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []
        self._class = SpawnProcess if imports_main else _WithoutMain

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """Create a process that is not started yet; `multiprocessing` requires this method's name."""
        process = self._class(*args, **options)
        self.processes.append(process)
        return process

    def Lock(self) -> Any:  # noqa: N802
        """Create a lock."""
        return super().Lock() if sys.platform == "win32" else _Tokens(os.pipe(), 1)

    def BoundedSemaphore(self, value: int = 1) -> Any:  # noqa: N802
        """Create a semaphore."""
        return super().BoundedSemaphore(value) if sys.platform == "win32" else _Tokens(os.pipe(), value)


class _WithoutMain(SpawnProcess):
    """A process that does not import the main module, and that a daemonic process may start, too."""

    def start(self) -> None:
        with _main_hidden(), _not_daemonic():
            super().start()


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Hide the main module's file from `multiprocessing`, which has no option for that."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _not_daemonic() -> Iterator[None]:
    """Let this process start others, which `multiprocessing` refuses in workers of its `Pool` and of Dask.

    It does so because they are ended without notice; but ours notice that, and end too (`process_setup`).
    """
    settings: dict[str, Any] = current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001
    was_daemonic = settings.pop("daemon", None)
    try:
        yield
    finally:
        if was_daemonic is not None:
            settings["daemon"] = was_daemonic


class _Tokens:
    """A semaphore: a pipe with one byte for each process that may still enter."""

    def __init__(self, ends: tuple[int, int], n: int) -> None:
        self._ends, self._semlock = ends, self  # `multiprocessing.Queue.full` asks `_semlock._is_zero`
        os.write(ends[1], bytes(n))

    def __reduce__(self) -> tuple[Callable[..., _Tokens], tuple[Any, Any]]:
        return _inherited, (DupFd(self._ends[0]), DupFd(self._ends[1]))

    def __del__(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                os.close(end)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        if (not block or timeout is not None) and not wait([self._ends[0]], timeout if block else 0):
            return False
        os.read(self._ends[0], 1)
        return True

    def release(self) -> None:
        os.write(self._ends[1], b"0")

    def _is_zero(self) -> bool:
        return not wait([self._ends[0]], 0)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _inherited(*ends: Any) -> _Tokens:
    return _Tokens((ends[0].detach(), ends[1].detach()), 0)
