"""Arrange the scores of runs by what they were trained on and what they were tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.evaluation.scoring.bootstrap import LEVEL
from emocatcher.reports.run_report.between import ALL_OTHERS, Cell, of_run


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Rows trained on, columns tested on."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    # Row → the mean over the corpora that it was not trained on, each counting equally; None if there is none.
    means: dict[str, float | None]
    synthetic: bool
    level: float = LEVEL

    def cell(self, row: str, column: str) -> Cell | None:
        """Return the cell at a place; None if no run has it."""
        return next((one for one in self.cells if (one.row, one.column) == (row, column)), None)


class _Place(NamedTuple):
    row: str
    column: str


def tabulate(runs: Sequence[Run]) -> Matrix:
    """Arrange the scores of finished runs; where two runs have one place, their rows get the runs' names."""
    cells = [cell for run in runs for cell in of_run(run)]
    twice = {place for place, n in Counter(_Place(cell.row, cell.column) for cell in cells).items() if n > 1}
    ambiguous = {place.row for place in twice}
    cells = [
        msgspec.structs.replace(cell, row=f"{cell.row} ({cell.run})") if cell.row in ambiguous else cell
        for cell in cells
    ]
    names = dict.fromkeys(name for cell in cells for name in ("+".join(cell.trained_on), cell.column))
    columns = [name for name in names if any(cell.column == name for cell in cells)]

    def place(row: str) -> tuple[bool, int]:
        first = next(cell for cell in cells if cell.row == row)
        name = "+".join(first.trained_on)
        return row.startswith(ALL_OTHERS), columns.index(name) if name in columns else len(columns)

    rows = sorted(dict.fromkeys(cell.row for cell in cells), key=place)
    others = {row: [c.unweighted_average_recall for c in cells if c.row == row and not c.is_within] for row in rows}
    return Matrix(
        rows=tuple(rows),
        columns=tuple(columns),
        cells=tuple(sorted(cells, key=lambda cell: (rows.index(cell.row), columns.index(cell.column)))),
        means={row: float(np.mean(values)) if values else None for row, values in others.items()},
        synthetic=any(run.result.synthetic for run in runs),
    )
