"""Write `RESULTS.md` section by section: each benchmark rewrites its own section only."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent


def software(*more: str) -> str:
    """Describe the machine in a few words, because a measurement is meaningless without it."""
    return ", ".join([f"{os.cpu_count()} cores", platform.machine(), f"Python {platform.python_version()}", *more])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def about(docstring: str | None) -> str:
    r"""A benchmark's docstring as one paragraph, with its command as code.

    Examples:
        >>> about("Measure it.\n\n    python it.py [MODEL ...]\n\nOn one core.")
        'Measure it. `python it.py [MODEL ...]` On one core.'
    """
    return " ".join(re.sub(r"^    (python .*)$", r"`\1`", docstring or "", flags=re.MULTILINE).split())


def rewrite(heading: str, text: str, folder: Path = FOLDER) -> None:
    """Replace the text under a heading of `RESULTS.md`; a new heading is appended."""
    path, mark = folder / "RESULTS.md", f"## {heading}\n"
    before = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    head, found, tail = before.partition(mark)
    _, more, rest = tail.partition("\n## ")
    head = head if found else head.rstrip("\n") + "\n\n"
    path.write_text(f"{head}{mark}\n{text.strip()}\n" + (f"\n## {rest}" if more else ""), encoding="utf-8")
