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

__all__ = ["Advance", "console", "facts", "list_table", "one_line", "print_json", "progress", "shades", "table"]

Advance = Callable[[int, int | None, str], None]  # done, in total (None if unknown), a note

_PLAIN_EVERY_S = 10.0
_BESIDE_BAR = 62  # characters: the name, the count, a note and the times
_SHORTEST_BAR = 8
_GAP = 2  # characters between the columns of a table
_PIPE_WIDTH = 200  # characters; a pipe has no width
_with_bars: list[Console] = []


def console(*, stderr: bool = False) -> Console:
    """Create a console. Piped output has no colours and no line breaks.

    While progress is shown, this is the console of the bars on stderr: a line from another one would be glued to a bar.
    """
    from emocatcher.cli.safe_console import SafeConsole

    if stderr and _with_bars:
        return _with_bars[-1]
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


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of numbers: the first column is left-aligned, the others right-aligned.

    Numbers are never broken: columns that do not fit beside the others follow in a table of their own.
    """
    if not header:
        return
    rest, width = list(range(1, len(header))), console().width
    stub = _narrowest(header[0], [row[0] for row in rows], words=True)
    while True:
        taken, used = [0], stub
        for i in rest:
            used += _GAP + _narrowest(header[i], [row[i] for row in rows])
            if len(taken) > 1 and used > width:
                break
            taken.append(i)
        rest = rest[len(taken) - 1 :]
        cells = [[row[i] for i in taken] for row in rows]
        _print_table([header[i] for i in taken], cells, justify="right", n_words=1)
        if not rest:
            return


def list_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, n_words: int | None = None) -> None:
    """Print a table of words, which wrap; with `n_words`, the columns after those are numbers, which do not."""
    _print_table(header, rows, justify="right" if n_words else "left", n_words=n_words or len(header))


def facts(rows: Sequence[tuple[str, str | Text]], *, title: str, after_title: str = "") -> None:
    """Print a title, and what is known under names; names without a value are left out."""
    from rich.table import Table
    from rich.text import Text

    target, grid = console(), Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        if value:
            # Text, not markup: a model folder from elsewhere may contain brackets or escape codes.
            grid.add_row(name, value if isinstance(value, Text) else Text("\n".join(map(one_line, value.splitlines()))))
    target.print(Text.assemble((one_line(title), "bold"), one_line(after_title)))
    target.print(grid, soft_wrap=False)


def _print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, justify: Literal["left", "right"], n_words: int
) -> None:
    from rich import box
    from rich.table import Table

    target = console()
    natural = [_narrowest("", [name, *(row[i] for row in rows)]) for i, name in enumerate(header)]
    fits = sum(natural) + _GAP * (len(header) - 1) <= target.width
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(header):
        is_number = i >= n_words
        # The head of a column of numbers may wrap between words, and the numbers stay whole.
        narrow = None if fits or not is_number else _narrowest(name, [row[i] for row in rows])
        drawn.add_column(_cell(name), justify=justify if is_number else "left", overflow="fold", width=narrow)
    for row in rows:
        drawn.add_row(*map(_cell, row))
    target.print()
    target.print(drawn, soft_wrap=False)
    target.print()


def _narrowest(name: str, cells: Sequence[str], *, words: bool = False) -> int:
    """Return the least width of a column whose name may wrap between words; `words`: the cells may, too."""
    parts = [part for cell in cells for part in (cell.split() if words else cell.split("\n"))]
    return max(map(len, [*name.split(), *parts, ""]))


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
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Left(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("left ").append(remaining.render(task)) if task.total and not task.finished else Text("")

    remaining = TimeRemainingColumn()
    # In a narrow terminal, the numbers stay and the bar goes.
    bar_width = min(24, target.width - _BESIDE_BAR)
    columns: list[Any] = [
        TextColumn("{task.description:<9}"),
        *([BarColumn(bar_width=bar_width)] if bar_width >= _SHORTEST_BAR else []),
        TextColumn("{task.fields[count]}", style="progress.download", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
        *([TimeElapsedColumn()] if bar_width >= _SHORTEST_BAR else []),
        Left(),
    ]
    with Progress(*columns, console=target) as bars, _while_shown(target):

        def start(title: str) -> Advance:
            task: TaskID = bars.add_task(title, total=None, note="", count="")

            def advance(done: int, total: int | None, note: str = "") -> None:
                bars.update(task, completed=done, total=total, note=note, count=_count(done, total, unit))

            return advance

        yield start


@contextlib.contextmanager
def _while_shown(target: Console) -> Iterator[None]:
    _with_bars.append(target)
    try:
        yield
    finally:
        _with_bars.remove(target)


def _count(done: int, total: int | None, unit: str) -> str:
    return f"{done} {unit}" if total is None else f"{done}/{total}"


class _Plain:
    """Progress as plain lines, for log files."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._started = self._printed = time.monotonic()

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        now = time.monotonic()
        if (total is None or done < total) and now - self._printed < _PLAIN_EVERY_S:
            return
        self._printed = now
        count = _count(done, total, self._unit) + f" {self._unit}" * (total is not None)
        text = f"{self._title}: {count} {note} {now - self._started:.0f} s"
        print(one_line(" ".join(text.split())), file=sys.stderr)  # noqa: T201
