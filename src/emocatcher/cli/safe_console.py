"""A console that never passes control characters of foreign texts to the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from emocatcher.foundation.errors import one_line


class SafeConsole(Console):
    """Escapes what is not printable: names of files, models and labels come from others.

    Control sequences of a terminal, and characters that reverse the direction of writing, are shown as escapes. A `str`
    is printed on one line and without markup.
    """

    def print(self, *objects: Any, markup: bool | None = False, **options: Any) -> None:
        """Print as Rich does."""
        super().print(*(one_line(one) if isinstance(one, str) else one for one in objects), markup=markup, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, and escape each text."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                text = "\n".join(map(one_line, segment.text.split("\n")))
                yield Segment(text, segment.style)
