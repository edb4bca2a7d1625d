"""`emocatcher report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = ("emocatcher report runs/cv5",)


def report(run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A finished run folder.")]) -> None:
    """Rebuild the report of a run: its figures and its page."""
    from emocatcher.cli import screen
    from emocatcher.reports import run_report as writing

    page, target = writing.write(run), screen.console()
    finished = writing.read(run)
    for line in (writing.headline(finished), writing.audit_line(finished), *writing.trust_lines(finished)):
        target.print(line, markup=False)
    target.print(f"Report: {page}", markup=False)
