"""Train folds and trials as tasks of a Ray cluster: the engine of `emocatcher train` and `sweep` with `--engine ray`.

A task does what a worker process of one machine does, with one thread, so on the same kind of machine the results are
the same, bit for bit. A task that is lost with its worker or its node starts again on another from its last saved
state, which lies in the run folder. All nodes therefore share the run folder and the cache of features.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from emocatcher import __version__
from emocatcher.distributed import cluster
from emocatcher.foundation import atomic_files, process_setup
from emocatcher.foundation.errors import ClusterError, EmoCatcherError, RunError, SettingError
from emocatcher.training import device as devices
from emocatcher.training import training_pool
from emocatcher.training.fold import FoldTask
from emocatcher.training.training_pool import Pool

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_POLL_S, _CANCEL_S = 0.5, 10.0
_MOST_LOSSES = 3  # of one task in a row, without an epoch in between
_PASSED_ON = "EMOCATCHER_"  # environment variables of this process that the workers need too


@contextlib.contextmanager
def ray_engine(address: str = cluster.LOCAL, *, num_cpus: int = 1, num_gpus: float = 0) -> Iterator[RayEngine]:
    """Connect to Ray for the `with` block, and yield the engine.

    Args:
        address: see `cluster.connected`.
        num_cpus: CPUs for each task. A task trains with one thread, so more only leave the others to other programs.
        num_gpus: GPUs for each task; a fraction lets several share one.

    Raises:
        MissingExtraError: if Ray is not installed.
        ClusterError: if there is no cluster at the address, a node has another version of the package, or a local Ray
            lacks the CPUs or GPUs.
    """
    with cluster.connected(address):
        import ray

        needs = {"CPU": num_cpus, "GPU": num_gpus}
        largest = {name: max(node["Resources"].get(name, 0) for node in ray.nodes() if node["Alive"]) for name in needs}
        lacking = [f"{needs[name]:g} {name}s" for name in needs if largest[name] < needs[name]]
        if lacking and address == cluster.LOCAL:
            has = " and ".join(f"{number:g} {name}s" for name, number in largest.items())
            raise ClusterError(
                f"A task needs {' and '.join(lacking)}, but this machine has {has}. Ask for fewer with --num-cpus and "
                "--num-gpus, or name a cluster with --address"
            )
        waits = f"No node has {' and '.join(lacking)} now, so the tasks wait for one that joins" if lacking else ""
        yield RayEngine(needs, waits)


class RayEngine:
    """The engine of a cluster that this process is connected to; from `ray_engine`."""

    def __init__(self, needs: Mapping[str, float], warning: str) -> None:
        self._needs, self._warning = needs, warning

    def resolve_device(self, device: str) -> str:
        """Return "cuda" if each task has GPUs, else the CPU.

        Raises:
            SettingError: if another device was asked for.
        """
        if self._needs["GPU"]:
            if device == "mps":
                raise SettingError("--num-gpus is for cuda. Leave --device out")
            return "cuda"
        if device not in ("auto", "cpu"):
            raise SettingError(f"--engine ray trains on '{device}' only with GPUs for its tasks. Add --num-gpus 1")
        return "cpu"

    def describe_device(self, device: str) -> str:
        """Return the device with the GPU's model, as a task finds it."""
        if device == "cpu":
            return device
        import ray

        return str(ray.get(ray.remote(devices.describe).options(**self._options()).remote(device)))

    def check(self, folders: Iterable[Path], files: Iterable[Path]) -> None:
        """Check that all nodes share the folders, and find the files at the same paths.

        Raises:
            ClusterError: if a node does not; it names the node and the path.
        """
        probes = []
        try:
            for folder in folders:
                probe = folder / f".shared-{secrets.token_hex(8)}"
                try:
                    atomic_files.write_text(probe, "")
                except OSError as error:
                    raise RunError(f"{folder} cannot be written: {error.strerror}") from error
                probes.append(probe)
            missing = cluster.missing_paths(probes)
        finally:
            for probe in probes:
                probe.unlink(missing_ok=True)
        for node, path in missing.items():
            if path:
                raise ClusterError(
                    f"Node {node} of the Ray cluster does not share the folder {Path(path).parent}. The run folder and "
                    "the cache of features (EMOCATCHER_CACHE) must lie on a file system that all nodes share, at the "
                    "same path"
                )
        cluster.check_paths(files, "the data")

    def pool(self, n_tasks: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]) -> Pool:  # noqa: ARG002
        """Return a pool whose tasks Ray places where CPUs and GPUs are free."""
        return _RayPool(self._options(), on_report, self._warning)

    def _options(self) -> dict[str, Any]:
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        return {
            "num_cpus": self._needs["CPU"],
            "num_gpus": self._needs["GPU"],
            "max_retries": 0,  # Ray would start the same task, which does not resume
            # Set before NumPy is imported, which reads the number of threads once.
            "runtime_env": {"env_vars": process_setup.ONE_THREAD | passed_on},
        }


class _RayPool:
    """Runs tasks on a cluster; what `TrainingPool` is on one machine."""

    def __init__(self, options: Mapping[str, Any], on_report: Callable[[Any], None], warning: str) -> None:
        import ray

        self._options, self._on_report, self._warning = options, on_report, warning
        # On this node: if it ends, so does this process.
        self._mailbox = ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=_here(), max_restarts=-1).remote()
        self._running: dict[Any, int] = {}  # task by the reference of its outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError, ConnectionError):
            for reference in self._running:
                ray.cancel(reference, force=True)
            if self._running:
                ray.wait(list(self._running), num_returns=len(self._running), timeout=_CANCEL_S)
            ray.kill(self._mailbox)

    def run(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run a function on every task, and yield the outcomes as tasks finish.

        Raises:
            RunError: if a task lost its worker again and again.
            ClusterError: if the connection to the cluster is lost.
            Exception: any error of a task or of `on_report`.
        """
        import ray

        if self._warning:
            self._on_report(self._warning)
        losses = [0] * len(tasks)

        def start(number: int) -> None:
            task: Any = tasks[number]
            if losses[number] and isinstance(task, FoldTask):
                task = task.resumed()
            work = ray.remote(_work).options(**self._options, name=f"emocatcher {number}")
            reference = work.remote(__version__, str(Path.cwd()), number, self._mailbox, function, task)
            self._running[reference] = number

        for number in range(len(tasks)):
            start(number)
        try:
            while self._running:
                ready, _ = ray.wait(list(self._running), num_returns=1, timeout=_POLL_S)
                for number, message in self._messages():
                    losses[number] = 0
                    if number in self._running.values():
                        self._on_report(message)
                for reference in ready:
                    try:
                        outcome = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise (error.cause if isinstance(error.cause, EmoCatcherError) else error) from None
                    except ray.exceptions.RayError as error:
                        number = self._running.pop(reference)
                        losses[number] += 1
                        self._lost(error, losses[number])
                        start(number)
                    else:
                        del self._running[reference]
                        yield outcome
        except (ConnectionError, ray.exceptions.RaySystemError) as error:
            raise ClusterError(
                f"The connection to the Ray cluster was lost: {error}. What was saved is intact: rerun with --resume"
            ) from None

    def _messages(self) -> list[tuple[int, Any]]:
        import ray

        try:
            found: list[tuple[int, Any]] = ray.get(self._mailbox.take.remote(), timeout=_CANCEL_S)
        except ray.exceptions.RayError:  # the mailbox starts again; only progress is lost
            return []
        return found

    def _lost(self, error: Exception, n_losses: int) -> None:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
        if n_losses >= _MOST_LOSSES:
            raise RunError(
                f"A task lost its worker {n_losses} times without an epoch in between: {reason}. "
                "Perhaps it needs more memory than a node has. What was saved is intact. Fix the problem, then rerun "
                "with --resume"
            )
        self._on_report(f"A task lost its worker, and starts again from its last saved state: {reason}")


class _Mailbox:
    """An actor that keeps the messages of the tasks until the driver takes them."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, Any]] = []

    def put(self, number: int, message: Any) -> None:
        self._messages.append((number, message))

    def take(self) -> list[tuple[int, Any]]:
        taken, self._messages = self._messages, []
        return taken


def _work(
    version: str, folder: str, number: int, mailbox: Any, function: Callable[[Task], Outcome], task: Task
) -> Outcome:
    """Run one task in a worker of the cluster."""
    if version != __version__:  # of a node that joined after the check
        raise ClusterError(f"A node has emocatcher {__version__}, but {version} started this run. Install the same one")
    with contextlib.suppress(OSError):
        os.chdir(folder)  # relative paths are the driver's
    training_pool.prepare_worker(lambda message: mailbox.put.remote(number, message))
    return function(task)


def _here() -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
