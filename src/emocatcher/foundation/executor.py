"""A process executor that can be ended at any moment, also while its processes are busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any


class EndableExecutor(ProcessPoolExecutor):
    """Tasks in spawned processes; Python's executor waits for running tasks, this one need not.

    Args:
        n_workers: processes.
        initializer: called once in each.
        arguments: of `initializer`.
    """

    def __init__(self, n_workers: int, initializer: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._spawning = _KeepingContext()
        super().__init__(n_workers, self._spawning, initializer, arguments)

    def end(self) -> None:
        """Terminate all processes and wait until they are gone; the tasks that are not done are lost."""
        self.shutdown(wait=False, cancel_futures=True)
        started = [process for process in self._spawning.processes if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join()


class _KeepingContext(SpawnContext):
    """Starts processes as the executor asks, and keeps them: Python's executor makes none of its own known."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """A process that is not started yet; the name is `multiprocessing`'s."""
        process = SpawnProcess(*args, **options)
        self.processes.append(process)
        return process
