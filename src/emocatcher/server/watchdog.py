"""End a server that cannot recover by itself, so that whatever started it can start it again."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable

_STEP_S = 0.5


class Watchdog:
    """A thread that ends this process if no worker is ready, or if the event loop does not run, for too long.

    It counts its own steps instead of reading a clock, because a machine that was asleep is not stuck.

    Args:
        is_able: whether the server has workers for all kinds of requests.
        limit_s: how long it may be unable, in seconds.
        clean_up: called before the process ends.
    """

    def __init__(self, is_able: Callable[[], bool], limit_s: float, clean_up: Callable[[], None]) -> None:
        self._is_able, self._limit_s, self._clean_up = is_able, limit_s, clean_up
        self._ran = True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch from now on, until the event loop is closed."""
        threading.Thread(target=self._watch, args=(loop,), daemon=True, name="watchdog").start()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        step = threading.Event()
        unable_s = stuck_s = 0.0
        while not step.wait(_STEP_S):
            unable_s = 0.0 if self._is_able() else unable_s + _STEP_S
            stuck_s = 0.0 if self._ran else stuck_s + _STEP_S
            self._ran = False
            try:
                loop.call_soon_threadsafe(self._note_run)
            except RuntimeError:  # it is closed
                return
            if unable_s >= self._limit_s:
                self._end(f"No worker process has been ready for {self._limit_s:g} s")
            if stuck_s >= self._limit_s:
                self._end(f"The server has not answered for {self._limit_s:g} s")

    def _note_run(self) -> None:
        self._ran = True

    def _end(self, reason: str) -> None:
        # Written and ended directly, because what is stuck could also hold up an ordinary exit.
        os.write(sys.stderr.fileno(), f"Error: {reason}. The server ends; start it again\n".encode())
        self._clean_up()
        os._exit(1)
