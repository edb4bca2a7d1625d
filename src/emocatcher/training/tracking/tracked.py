"""The training's side of tracking: messages go into a queue, and a thread passes them to the tracker's process."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.foundation.executor import PoolContext
from emocatcher.training.tracking import tracker_process
from emocatcher.training.tracking.messages import Finish, Message, Start, Values
from emocatcher.training.tracking.targets import Target

ANSWER_S = 15.0  # that a tracker may take; also the longest that the end of a training waits for one that is dead
IMPORT_S = 60.0
STOPPED_S = 3.0  # that a training which is stopped, as by Ctrl-C, waits for an answer
_AGAIN_S = 60.0  # from a failure to the next attempt


class Tracked:
    """A training that is tracked; a context manager. No method waits for the tracker but the end, which is limited.

    Args:
        target: what tracks, and where; None to track nothing.
        folder: the folder of the training, for the note on how far it is tracked; None for a training that cannot be
            resumed.
        on_note: called once, from another thread, with a sentence on why tracking fails.
    """

    def __init__(self, target: Target | None, folder: Path | None, on_note: Callable[[str], object]) -> None:
        self._target, self._folder, self._on_note = target, folder, on_note
        self._queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._process: SpawnProcess | None = None
        self._messages: list[Message] = []
        self._n_sent, self._failed_at, self._noted = 0, -math.inf, False

    def __enter__(self) -> Tracked:
        if self._target is not None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        return self

    def end(self) -> None:
        """Let what was added be sent a last time, without waiting for it: `__exit__` does, which may be of several."""
        self._ending.set()
        self._queue.put(None)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._thread is None:
            return
        self.end()
        # Every wait of the thread ends within the limit: one that is under way, and the last one. A training that is
        # stopped has no result yet, and sends the rest when it is resumed.
        limit_s = IMPORT_S + 2 * ANSWER_S if kind is None else STOPPED_S
        self._thread.join(timeout=limit_s)
        if self._thread.is_alive() and kind is None:
            self._note(f"it is slow, and not everything was sent within {limit_s:g} s")
        self._noted = True  # what fails because the process ends here is no news
        self._end_process()

    def start(self, run: str, name: str, settings: Mapping[str, Any], group: str = "") -> None:
        """Begin a run, or continue it.

        Args:
            run: what tells it from others of the same training; "" if there is one.
            name: what it is called where it is tracked.
            settings: may be nested.
            group: of runs that belong together.
        """
        self._put(Start(run=run, name=name, group=group, settings=dict(flat(settings))))

    def epochs(self, epochs: Iterable[Epoch], run: str = "") -> None:
        """Add epochs of a fold; those that were added before do not count."""
        for epoch in epochs:
            values = {name: getattr(epoch, name) for name in Epoch.__struct_fields__ if name not in {"fold", "epoch"}}
            self.values(run, f"fold_{epoch.fold}", epoch.epoch, values)

    def values(self, run: str, curve: str, epoch: int, values: Mapping[str, float | None]) -> None:
        """Add the values of a curve at an epoch; None, NaN and infinity are left out."""
        finite = {name: float(one) for name, one in values.items() if one is not None and math.isfinite(one)}
        self._put(Values(run=run, curve=curve, epoch=epoch, values=finite, at_s=time.time()))

    def finish(
        self, run: str, epoch: int, results: Mapping[str, float | None], folder: Path | None = None,
        files: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Add the result of a run, with the pictures and files of its folder that exist."""
        pictures = tuple(sorted(folder.glob("figures/*.png"))) if folder else ()
        found = tuple(path for name in files if folder and (path := folder / name).is_file())
        finite = {name: float(one) for name, one in results.items() if one is not None and math.isfinite(one)}
        self._put(Finish(run=run, epoch=epoch, results=finite, pictures=pictures, files=found))

    def _put(self, message: Message) -> None:
        if self._thread is not None:
            self._queue.put(message)

    def _work(self) -> None:
        while True:
            # Between two epochs, try again what failed.
            with contextlib.suppress(queue.Empty):
                self._take(self._queue.get(timeout=_AGAIN_S))
            with contextlib.suppress(queue.Empty):
                while True:
                    self._take(self._queue.get_nowait())
            if self._n_sent < len(self._messages) and time.monotonic() - self._failed_at >= _AGAIN_S:
                self._attempt()
            if self._ending.is_set() and self._queue.empty():
                if self._connection is not None and self._n_sent == len(self._messages):
                    self._ask(None)
                return

    def _take(self, message: Message | None) -> None:
        if message is not None:
            self._messages.append(message)

    def _attempt(self) -> None:
        """Send what is not sent yet."""
        n = len(self._messages)
        if self._process is None:
            self._n_sent = 0  # a new process gets everything; it knows what was sent
        reason = self._ask(self._messages[self._n_sent : n])
        if not reason:
            self._n_sent = n
            return
        self._failed_at = time.monotonic()
        self._note(reason)

    def _note(self, reason: str) -> None:
        if not self._noted:
            self._noted = True
            self._on_note(
                f"{self._target} does not work: {reason}. The training goes on, and its folder has everything. What is "
                "missing there is tried again during the training; later, with --resume and the same --track"
            )

    def _ask(self, messages: list[Message] | None) -> str:
        """Pass messages to the process, and return what went wrong, or ""; a process that does not answer is ended."""
        try:
            if (connection := self._connection) is None:
                connection = self._connection = self._start_process()
                # It imports the library first, which asks no server, and may take long on a busy machine.
                if reason := self._answer(connection, IMPORT_S):
                    self._end_process()
                    return reason
            connection.send(messages)
            return self._answer(connection, ANSWER_S)
        except (OSError, EOFError) as error:
            self._end_process()
            return f"its process ended early ({type(error).__name__})"

    def _answer(self, connection: Connection, longest_s: float) -> str:
        while connection.poll(longest_s):
            if (answer := connection.recv()) is not tracker_process.ALIVE:
                return str(answer)
        self._end_process()
        return f"no answer within {longest_s:g} s"

    def _start_process(self) -> Connection:
        context = PoolContext()
        ours: Connection
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=tracker_process.main, args=(theirs, self._target, self._folder), daemon=True
        )
        self._process.start()
        theirs.close()
        return ours

    def _end_process(self) -> None:
        # The end of a training calls this too, while the thread still waits for an answer.
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is not None and process.pid is not None:
            process.kill()
            process.join()
        if connection is not None:
            connection.close()


def flat(nested: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str | int | float | bool]]:
    """Yield the values of nested dictionaries by their dotted names; lists as text.

    Examples:
        >>> dict(flat({"training": {"n_epochs": 3, "seeds": [0, 1]}}))
        {'training.n_epochs': 3, 'training.seeds': '[0, 1]'}
    """
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value if isinstance(value, str | int | float | bool) else str(value)
