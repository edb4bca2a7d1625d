"""Terminal output shared by the commands: consoles, tables, progress."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import typer

from emocatcher.foundation.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from rich.text import Text

__all__ = ["Advance", "console", "list_table", "one_line", "print_json", "progress", "shades", "table"]

Advance = Callable[[int, int, str], None]

_PLAIN_EVERY_S = 10.0
_PIPE_WIDTH = 200  # characters; a pipe has no width


def console(*, stderr: bool = False) -> Console:
    """Create a console. Piped output has no colours and no line breaks."""
    from emocatcher.cli.safe_console import SafeConsole

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return SafeConsole(stderr=stderr, highlight=False, width=width, soft_wrap=width is not None)


def shades(labels: Sequence[str]) -> dict[str, str]:
    """Map every label to a Rich style for its bar on stdout.

    A terminal with 16 colours shows those that its user chose, so a bar could vanish in the background. There, and
    without colours, bars have the colour of the text.
    """
    from emocatcher.foundation.labels import terminal_colours

    has_palette = console().color_system in ("256", "truecolor")
    return terminal_colours(labels) if has_palette else dict.fromkeys(labels, "")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, n_words: int = 1) -> None:
    """Print a table of numbers: the first `n_words` columns are left-aligned, the others right-aligned."""
    _print_table(header, rows, "right", n_words)


def list_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of words: all columns are left-aligned, and long cells wrap."""
    _print_table(header, rows, "left", 1)


def _print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], justify: Literal["left", "right"], n_words: int
) -> None:
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        # With several columns of words, only the words may wrap, not the numbers.
        no_wrap = 1 < n_words <= i
        drawn.add_column(_cell(name), justify="left" if i < n_words else justify, overflow="fold", no_wrap=no_wrap)
    for row in rows:
        drawn.add_row(*map(_cell, row))
    console().print(drawn, soft_wrap=False)


def _cell(text: str) -> Text:
    """Return text, not markup: a label or a path may contain brackets. It is escaped before widths are measured."""
    from rich.text import Text

    return Text("\n".join(map(one_line, text.split("\n"))))


def print_json(value: object, *, indent: bool = False) -> None:
    """Print a value as JSON in UTF-8, whatever the terminal's encoding; unprintable characters are escaped."""
    payload = msgspec.json.encode(value)
    text = (msgspec.json.format(payload) if indent else payload).decode()
    printable = (one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)
    typer.echo("".join(printable).encode())


@contextlib.contextmanager
def progress(*, unit: str = "it") -> Iterator[Callable[[str], Advance]]:
    """Show progress on stderr: bars in a terminal, a plain line every 10 s if stderr is piped.

    Yields:
        `start(title)`, which returns `advance(done, total, note)`.
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
    """Progress as plain lines, for log files."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._started = self._printed = time.monotonic()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self._printed < _PLAIN_EVERY_S:
            return
        self._printed = now
        text = f"{self._title}: {done}/{total} {self._unit} {note} {now - self._started:.0f} s"
        print(one_line(" ".join(text.split())), file=sys.stderr)  # noqa: T201
