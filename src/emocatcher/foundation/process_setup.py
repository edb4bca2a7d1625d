"""The cores, threads and memory of this process."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT = 1 << 30  # bytes
_SPARE_S = 1.0  # processor time beyond the wall-clock limit, so that the latter applies first, with its clearer error
N_THREADS = 1  # per worker process
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(N_THREADS))


def usable_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of cores that this process may use; a container or a batch job may not have all of them.

    Args:
        quota: the file in which Linux states a container's share of time (cgroup v2), as microseconds in each period,
            for example "150000 100000", or "max 100000" without a limit.

    Returns:
        at least 1; part of a core counts as one.
    """
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # no file, or no limit
        used_us, period_us = map(int, quota.read_text(encoding="ascii").split())
        n = min(n, math.ceil(used_us / period_us))
    return max(n, 1)


def keep_memory() -> bool:
    """Make glibc keep up to a gigabyte of freed memory for reuse by this process.

    By default glibc returns every larger block to the system and requests it again a moment later. Each page then costs
    a page fault, which takes microseconds on a virtual machine, and a loop over clips or batches pays that thousands of
    times. For programs, not for libraries: it changes the whole process.

    Returns:
        whether the process uses glibc and the setting was accepted.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _KEPT) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
    return False


def exit_with_parent() -> None:
    """Make this worker process exit when its parent process ends; otherwise it would wait for a task forever."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    import multiprocessing  # imported here, because it would slow `emocatcher --help` down

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Limit processes that are started inside the `with` block to one thread each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def limit_memory(more: int) -> None:
    """Limit this process to `more` bytes beyond its current memory, where /proc exists; disable core dumps."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # ImportError on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = n_pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_processor_time(seconds: float) -> None:
    """End this process if its next task takes longer than this; not on Windows.

    A limit of wall-clock time needs another process. This one applies also when that has ended.
    """
    with contextlib.suppress(ImportError):
        import resource

        # The system counts from the process's start.
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime + seconds + _SPARE_S) + 1
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
