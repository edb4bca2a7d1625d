"""`emocatcher compare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emocatcher.reports.comparison import Comparison, Unpaired

EXAMPLES = (
    "emocatcher compare runs/cv5 runs/emobox",
    "emocatcher compare runs/seed-0 runs/seed-1 runs/other --out seeds.html --overwrite",
)

_MOST_TESTS = 10  # printed in the terminal


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="Finished run folders.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="The page to write, with its figures next to it; by default comparison.html, none with --json.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page and its figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare finished runs: a table, a figure and paired significance tests."""
    from emocatcher.cli import screen
    from emocatcher.reports import comparison

    page = None if as_json and out is None else out or Path("comparison.html")
    if page is not None:
        comparison.check_page_path(page, overwrite=overwrite)
    found = comparison.compare(runs)
    if page is not None:
        comparison.write(found, page, overwrite=overwrite)
    if as_json:
        screen.print_json(found)
        return
    show(found)
    screen.console().print(f"Comparison: {screen.one_line(page)}", markup=False)


def show(found: Comparison) -> None:
    """Print the tables, notes and tests of a comparison."""
    from emocatcher.cli import screen
    from emocatcher.reports.comparison import tables
    from emocatcher.reports.run_report.tables import NONE

    target = screen.console()
    columns = []
    for row in found.rows:
        marked = [screen.one_line(row.name), *tables.marks(row)]
        recalls = {label: tables.spread(row.recall[label]) for label in row.labels}
        columns.append((" · ".join(marked), tables.measures(row), recalls))
    _print_columns([(name, shown) for name, shown, _ in columns])
    if each := tables.corpora(found.rows):
        screen.table(
            ["UAR", *(line[0] for line in each.rows)],
            list(map(list, zip(each.header[1:], *(line[1:] for line in each.rows), strict=True))),
        )
    if by_voice := tables.listeners(found.rows):
        screen.table(by_voice.header, by_voice.rows)
    labels = tables.all_labels(found.rows)
    emotions = [(name, {label: recalls.get(label, NONE) for label in labels}) for name, _, recalls in columns]
    _print_columns(emotions, "recall")
    seeds = [
        (screen.one_line(one.name), tables.seed_measures(one))
        for row in found.rows
        if len(row.runs) > 1
        for one in row.runs
    ]
    _print_columns(seeds, "per seed")
    target.print(
        "Rates in percent, with 95% intervals; ± is the standard deviation over seeds. "
        "ECE: expected calibration error, lower is better."
    )
    for note in found.notes:
        target.print(f"Note: {screen.one_line(note)}", markup=False)
    for pair in found.pairs[:_MOST_TESTS]:
        target.print(f"Test: {screen.one_line(pair.verdict)}", markup=False)
    if len(found.pairs) > _MOST_TESTS:
        target.print(f"… and {len(found.pairs) - _MOST_TESTS} more tests on the page and in --json.")
    for line in _not_tested(found.unpaired):
        target.print(screen.one_line(line), markup=False)


def _print_columns(columns: Sequence[tuple[str, Mapping[str, str]]], corner: str = "") -> None:
    from emocatcher.cli import screen

    if columns:
        names = list(columns[0][1])
        rows = [[name, *(cells[name] for _, cells in columns)] for name in names]
        screen.table([corner, *(title for title, _ in columns)], rows)


def _not_tested(unpaired: Sequence[Unpaired]) -> list[str]:
    reasons = Counter(pair.reason for pair in unpaired)
    return [f"Difference not tested in {n} pair{'s' if n > 1 else ''}: {reason}" for reason, n in reasons.items()]
