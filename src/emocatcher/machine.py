"""What this machine offers, and how this process uses it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT = 1 << 30  # bytes
N_THREADS = 1  # of a worker process


def usable_cores() -> int:
    """How many cores this process may use, which in a container or a batch job are not all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_memory() -> bool:
    """Have glibc keep freed memory, up to a gigabyte, for this process's next use.

    By default it hands every block of some size back to the system and asks for it again a moment later; each page
    then costs a fault, on virtual machines microseconds, and a loop over clips or batches pays that a thousand times
    over. For programs, not for libraries: it changes the whole process.

    Returns:
        whether there was a glibc to tell.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _KEPT) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
    return False


def leave_with_the_caller() -> None:
    """End this worker process when the one that started it ends; it would wait for its next task for ever."""
    threading.Thread(target=_leave_with_the_caller, daemon=True).start()


def _leave_with_the_caller() -> None:
    import multiprocessing  # the overview of commands would pay for it too

    caller = multiprocessing.parent_process()
    if caller is not None:
        caller.join()
        os._exit(1)


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Have the processes that are started meanwhile use one thread each."""
    changed = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(N_THREADS))
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
