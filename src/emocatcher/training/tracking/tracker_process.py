"""The process that tracks a training. Nothing that a tracker's library does or waits for reaches the training.

It notes how far each run is tracked in a file of the run's folder, so that a resumed training continues the same run.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from emocatcher.foundation import atomic_files, process_setup, uris
from emocatcher.foundation.errors import one_line
from emocatcher.training.tracking.messages import Message, Start, Tracker, Values
from emocatcher.training.tracking.targets import Target

STATE = "tracking.json"
ALIVE = None  # answers each message of several: the limit is for one, because a slow server may need long for all
_NOTED_EVERY_S = 1.0
_LONGEST_REASON = 200


class TrackedRun(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far one run is tracked."""

    continued_by: str = ""  # the identity that the tracker gave it
    name: str = ""
    epochs: dict[str, int] = {}  # curve → last epoch that was sent
    finished: bool = False


class State(msgspec.Struct, kw_only=True):
    """The file: which runs are tracked where, by the target without secrets."""

    targets: dict[str, dict[str, TrackedRun]] = {}


def main(connection: Connection, target: Target, folder: Path | None) -> None:
    """Open the tracker, and receive lists of messages until None; answer each with what went wrong, or ""."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the training, which ends this process
    process_setup.exit_with_parent()
    # Libraries print addresses, hints and warnings between the training's bars.
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    try:
        sender = Sender(target, folder)
    except Exception as error:  # whatever the library raises: the training goes on
        connection.send(reason_of(error, target))
        return
    connection.send("")
    while True:
        try:
            messages: list[Message] | None = connection.recv()
        except EOFError:
            return
        reason = ""
        try:
            if messages is None:
                sender.tracker.close()
            else:
                sender.send(messages, on_sent=lambda: connection.send(ALIVE))
        except Exception as error:  # as above
            reason = reason_of(error, target)
        connection.send(reason)
        if messages is None:
            return


class Sender:
    """Passes messages to a tracker, each once.

    Args:
        target: what tracks, and where.
        folder: where to note how far; None to note nothing.
    """

    def __init__(self, target: Target, folder: Path | None) -> None:
        self._path = folder and folder / STATE
        self._state = _read(self._path) if self._path else State()
        self._runs = self._state.targets.setdefault(f"{target.kind}:{uris.redacted(target.where)}", {})
        self.tracker = open_tracker(target)
        self._open: set[str] = set()
        self._noted_at = time.monotonic()

    def send(self, messages: list[Message], on_sent: Callable[[], object] = lambda: None) -> None:
        """Send what was not sent before, and note how far that is, also where it fails or is ended in between.

        Args:
            messages: in their order.
            on_sent: called after each of them, and after each part of a result.
        """
        try:
            for message in messages:
                self._send(message, on_sent)
                if isinstance(message, Start) or time.monotonic() - self._noted_at > _NOTED_EVERY_S:
                    self._note()
                on_sent()
        finally:
            self._note()

    def _note(self) -> None:
        self.tracker.flush()
        if self._path:
            atomic_files.write_bytes(self._path, msgspec.json.format(msgspec.json.encode(self._state)) + b"\n")
        self._noted_at = time.monotonic()

    def _send(self, message: Message, on_part: Callable[[], object]) -> None:
        run = self._runs.setdefault(message.run, TrackedRun())
        if isinstance(message, Start):
            if message.run not in self._open and not run.finished:
                run.name = run.name or f"{message.name}-{secrets.token_hex(3)}"
                named = msgspec.structs.replace(message, name=run.name)
                run.continued_by = self.tracker.start(named, run.continued_by)
                self._open.add(message.run)
        elif run.finished:
            return
        elif isinstance(message, Values):
            if message.epoch > run.epochs.get(message.curve, 0):
                self.tracker.values(message)
                run.epochs[message.curve] = message.epoch
        else:
            self.tracker.finish(message, on_part)
            run.finished = True


def open_tracker(target: Target) -> Tracker:
    """Open the tracker of a target."""
    if target.kind == "tensorboard":
        from emocatcher.training.tracking.tensorboard_folder import TensorBoardFolder

        return TensorBoardFolder(target.where, is_shared=target.is_shared)
    if target.kind == "trackio":
        from emocatcher.training.tracking.trackio_project import TrackioProject

        return TrackioProject(target.where)
    from emocatcher.training.tracking.mlflow_run import MLflowRun

    return MLflowRun(target.where)


def _read(path: Path) -> State:
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):  # a missing or damaged note means a new run
        return State()


def reason_of(error: BaseException, target: Target) -> str:
    """Return what went wrong first, with its text where that cannot contain a password."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    kind = type(error).__name__
    if uris.redacted(target.where) != target.where:
        return kind
    text = one_line(str(error).strip().partition("\n")[0])
    return f"{kind}: {text[:_LONGEST_REASON]}" if text else kind
