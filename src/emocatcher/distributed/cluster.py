"""Connect to a Ray cluster, or start a local one, and check that every node can do the work.

Whoever can open a connection to Ray's port can run any program on the cluster. A local Ray therefore listens on the
loopback address only, and asks for a token that only this process and its workers have. A cluster's own settings
(`RAY_AUTH_MODE` and others) stay as the environment sets them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from emocatcher import __version__
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import ClusterError, MissingExtraError

Answer = TypeVar("Answer")

LOCAL = ""  # the address of a Ray that is started for this process
_AUTO = "auto"
_OBJECT_STORE_BYTES = 512 << 20  # of a local Ray; more spills to the disk
_SHORT_BASE = "/tmp"  # noqa: S108 (of folders)
_LONGEST_BASE = 30  # characters; with what Ray adds, the path of a socket may have 107
_CONNECT_S, _ANSWER_S = 10.0, 120.0
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def require_ray() -> None:
    """Check that Ray is installed.

    Raises:
        MissingExtraError: if it is not.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("Work on a Ray cluster", "distributed", "--workers works without it")


def silence_ray() -> None:
    """Keep Ray from printing its own lines, of lost workers for example, to standard output.

    For programs, before `connected`, not for libraries: lines of the caller's own tasks are not printed either.
    """
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # read when Ray is imported


@contextlib.contextmanager
def connected(address: str = LOCAL, *, num_cpus: int | None = None) -> Iterator[None]:
    """Connect this process to Ray for the `with` block; a process that is connected already stays so afterwards.

    Every node with a CPU must have this version of the package.

    Args:
        address: "" starts a local Ray, which ends with the block; "auto" finds the cluster that this machine belongs
            to; "HOST:PORT" and "ray://HOST:PORT" name one.
        num_cpus: how many CPUs a local Ray may use; all that this process may use by default.

    Raises:
        MissingExtraError: if Ray is not installed.
        ClusterError: if there is no cluster at the address, or a node has another version of the package.
    """
    require_ray()
    _set_environment(address)
    import ray

    with contextlib.ExitStack() as stack:
        if not ray.is_initialized():
            folder = stack.enter_context(_logs_and_sockets()) if address == LOCAL else ""
            stack.callback(ray.shutdown)
            _start(address, num_cpus, folder)
        _check_versions()
        yield


def ask_nodes(function: Callable[..., Answer], *arguments: Any) -> dict[str, Answer]:
    """Call a function once on every node that has a CPU; for quick questions, which need no CPU to be free.

    Args:
        function: module-level, or nested in a function; a nested one is sent whole, so the node needs no package.
        arguments: its arguments.

    Returns:
        the answers by the node's name, without nodes that leave the cluster meanwhile.

    Raises:
        ClusterError: if a node does not answer.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {
        _name(node): ray.remote(function)
        .options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        )
        .remote(*arguments)
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    }
    if not asked:
        raise ClusterError("The Ray cluster has no node with a CPU. Add a node, then run the command again")
    _, missing = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_ANSWER_S)
    answers = {}
    for name, reference in asked.items():
        if reference in missing:
            raise ClusterError(
                f"Node {name} of the Ray cluster did not answer within {_ANSWER_S:g} s. "
                "Repair or remove the node, then run the command again"
            )
        try:
            answers[name] = ray.get(reference)
        except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
            continue  # it has left the cluster meanwhile, as a preemptible one does
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ClusterError(
                f"Node {name} of the Ray cluster cannot run a task: {reason}. "
                "Repair or remove the node, then run the command again"
            ) from None
    return answers


def check_paths(paths: Iterable[Path], need: str) -> None:
    """Check that every node finds the same files and folders.

    Args:
        paths: files and folders.
        need: what they are, for the error, such as "the corpus".

    Raises:
        ClusterError: if a node does not find one of them; it names the node and the path.
    """
    for name, path in missing_paths(paths).items():
        if path:
            raise ClusterError(
                f"Node {name} of the Ray cluster does not find {need}: {path}. Every node needs it at the same path: "
                "use a shared file system, or copy it to each node"
            )


def missing_paths(paths: Iterable[Path]) -> dict[str, str]:
    """Return the first path that a node does not find, "" if it finds all, by the node's name.

    Raises:
        ClusterError: if a node does not answer.
    """
    wanted = [str(path.absolute()) for path in paths]

    def missing(paths: list[str]) -> str:
        import os

        return next((path for path in paths if not os.path.exists(path)), "")  # noqa: PTH110

    return ask_nodes(missing, wanted)


@contextlib.contextmanager
def _logs_and_sockets() -> Iterator[str]:
    """Yield a folder for a local Ray, which would otherwise leave its logs in a common one."""
    base = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(base) > _LONGEST_BASE and Path(_SHORT_BASE).is_dir():
        base = _SHORT_BASE
    folder = tempfile.mkdtemp(prefix="ray-", dir=base)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(address: str, num_cpus: int | None, folder: str) -> None:
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {
            "address": "local",
            "include_dashboard": False,
            "num_cpus": num_cpus or process_setup.usable_cores(),
            "object_store_memory": _OBJECT_STORE_BYTES,
            "_temp_dir": folder,
        }
    else:
        _check_reachable(address)
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, ImportError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        at = f"The Ray cluster at '{address}' cannot be used" if address else "A local Ray cannot be started"
        raise ClusterError(f"{at}: {' '.join(str(error).split())}") from error


def _check_reachable(address: str) -> None:
    """Refuse an address where no program listens; Ray would wait there for minutes."""
    if address == _AUTO:
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme not in ("", "ray"):
        raise ClusterError(f"'{address}' is no address of a Ray cluster. Allowed: auto, HOST:PORT, ray://HOST:PORT")
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"No Ray cluster at '{address}': {error.strerror or error}. Start one with `ray start --head`, or leave "
            "--address out for a Ray on this machine"
        ) from None


def _check_versions() -> None:
    def version() -> str:
        try:
            from emocatcher import __version__
        except ImportError:
            return ""
        return __version__

    for name, found in ask_nodes(version).items():
        if found != __version__:
            has = f"has emocatcher {found}" if found else "does not have the package emocatcher"
            raise ClusterError(
                f"Node {name} of the Ray cluster {has}; this machine has {__version__}. "
                "Install the same version everywhere, then run the command again"
            )


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"


def _set_environment(address: str) -> None:
    """Set what Ray and its processes read; a variable that is set already keeps its value.

    Ray reads some of it once, when it is imported, so nothing here is changed back, and a Ray that the caller has
    imported keeps the caller's settings.
    """
    new = dict(_QUIET)
    if address == LOCAL and "ray" not in sys.modules:
        new |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # on Linux too, it makes Ray use the loopback address
        if "RAY_AUTH_MODE" not in os.environ:
            new |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in new.items():
        os.environ.setdefault(name, value)
