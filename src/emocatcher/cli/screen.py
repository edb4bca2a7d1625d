"""What several commands print with: consoles, tables, progress."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

Advance = Callable[[int, int, str], None]

_PLAIN_EVERY_S = 10.0


def console(*, stderr: bool = False) -> Console:
    """A console that stays plain, and unwrapped, where its output is piped."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty())


def table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table; the first column reads from the left, the others from the right."""
    from rich import box
    from rich.table import Table

    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        drawn.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    target = console()
    # A pipe has no width; a table must not be cut to a guess of one.
    target.print(drawn, width=None if target.is_terminal else 200)


def list_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of words: every column reads from the left, and long cells wrap."""
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    target = console()
    target.print(drawn, width=None if target.is_terminal else 200)


@contextlib.contextmanager
def progress(*, unit: str = "it") -> Iterator[Callable[[str], Advance]]:
    """Bars on stderr with rate and time left; where stderr is piped, a plain line now and then.

    Yields:
        `start(title)`, which gives `advance(done, total, note)`.
    """
    target = console(stderr=True)
    if not target.is_terminal:
        yield lambda title: _Plain(title, unit)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: list[Any] = [
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=target) as bars:

        def start(title: str) -> Advance:
            task: TaskID = bars.add_task(title, total=None, note="")

            def advance(done: int, total: int, note: str = "") -> None:
                bars.update(task, completed=done, total=total, note=note)

            return advance

        yield start


class _Plain:
    """Progress for a log file."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._started = self._said = time.monotonic()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self._said < _PLAIN_EVERY_S:
            return
        self._said = now
        text = f"{self._title}: {done}/{total} {self._unit} {note} {now - self._started:.0f} s"
        print(" ".join(text.split()), file=sys.stderr)  # noqa: T201
