"""`emocatcher report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "emocatcher report runs/cv5",
    "emocatcher report calls.parquet",
    "emocatcher report calls.csv --time recorded --by speaker --by room --out calls.html",
)


def report(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_DIR|TABLE",
            help="A finished run folder, or a table that predict --out wrote, or its folder with --engine ray.",
            show_default=False,
        ),
    ],
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Of a table: the column of times for the course; rows for the order of rows. By default a column "
            "named time, date, datetime or timestamp, else the order of rows of one folder.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Of a table: the column to group by; may be repeated. By default the folder and the channel, where "
            "there are several.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Of a table: the page to write; by default next to it, with its name, and none with --json.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Of a table: replace the page.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Of a table: print its numbers as one JSON object.")] = False,
) -> None:
    """Show a run, or a table of predictions, as one page with figures."""
    if (source.is_dir() and not (source / "_manifest.json").is_file()) or not (source.suffix or source.exists()):
        if time is not None or by or out is not None or overwrite or as_json:
            raise typer.BadParameter(
                f"'{source}' is a run folder: its report is written into it, and its numbers are in result.json. "
                "--time, --by, --out, --overwrite and --json are for tables of predictions",
                param_hint="RUN_DIR",
            )
        _of_run(source)
        return
    from emocatcher.cli import screen
    from emocatcher.reports import table_report as writing

    page = None if as_json and out is None else out or source.with_suffix(".html")
    writing.check(source, page, overwrite=overwrite)
    tally = writing.count(source, time=time, by=tuple(dict.fromkeys(by or ())))
    if page is not None:
        writing.write(tally, page, overwrite=overwrite)
    if as_json:
        screen.print_json(tally)
        return
    target = screen.console()
    target.print(writing.headline(tally), markup=False)
    target.print(f"Report: {page}", markup=False)


def _of_run(folder: Path) -> None:
    from emocatcher.cli import screen
    from emocatcher.reports import run_report as writing

    page, target = writing.write(folder), screen.console()
    finished = writing.read(folder)
    for line in (writing.headline(finished), writing.audit_line(finished), *writing.trust_lines(finished)):
        target.print(line, markup=False)
    target.print(f"Report: {page}", markup=False)
