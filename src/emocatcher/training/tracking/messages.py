"""What passes from a training to the process that tracks it, and what a tracker has to offer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A run begins or continues."""

    run: str  # its name in the folder; a sweep has several
    name: str  # its name where it is tracked, before a mark that makes it unique
    group: str = ""  # of runs that belong together
    settings: dict[str, str | int | float | bool] = {}  # by their dotted names


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a curve at one epoch."""

    run: str
    curve: str  # for example "fold_0"; "" if the run has one curve
    epoch: int  # counts from 1
    values: dict[str, float]
    at_s: float  # seconds since 1970


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """A run has its result."""

    run: str
    epoch: int  # the last one
    results: dict[str, float]
    pictures: tuple[Path, ...] = ()  # PNG
    files: tuple[Path, ...] = ()


Message = Start | Values | Finish


class Tracker(Protocol):
    """Sends to one kind of tracker. Any exception means: not tracked, try again later."""

    def start(self, message: Start, known: str) -> str:
        """Begin a run, or continue the one that is known; return what continues it."""

    def values(self, message: Values) -> None:
        """Add a point to curves."""

    def finish(self, message: Finish, on_part: Callable[[], object]) -> None:
        """Add the result; call `on_part` after each part of it that may take long, such as a file."""

    def flush(self) -> None:
        """Make sure that everything so far is kept."""

    def close(self) -> None:
        """End; runs without a result can be continued."""
