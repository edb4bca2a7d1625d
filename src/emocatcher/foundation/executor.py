"""A process pool that can be ended at any moment, even while its processes are busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any


class EndableExecutor(ProcessPoolExecutor):
    """A pool of spawned processes that need not wait for running tasks, unlike `ProcessPoolExecutor`."""

    def __init__(self, n_workers: int, initializer: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._spawning = _KeepingContext()
        super().__init__(n_workers, self._spawning, initializer, arguments)

    def end(self) -> None:
        """Terminate all processes and wait until they have ended; unfinished tasks are lost."""
        self.shutdown(wait=False, cancel_futures=True)
        started = [process for process in self._spawning.processes if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join()


class _KeepingContext(SpawnContext):
    """Creates the executor's processes and keeps a list of them, because Python's executor does not publish one."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """Create a process that is not started yet; `multiprocessing` requires this method's name."""
        process = SpawnProcess(*args, **options)
        self.processes.append(process)
        return process
