"""Format the matrix as tables of plain strings, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report.between import Cell
from emocatcher.reports.run_report.corpus_matrix import Matrix
from emocatcher.reports.run_report.tables import NONE, Table

EXPLANATION = (
    "Rows: trained on; columns: tested on. UAR in percent over the classes that both sides have: what the training "
    "part lacks is not scored, and classes that the tested corpus lacks are masked. Where both are the same, other "
    "speakers of the corpus are tested."
)


def grid(matrix: Matrix) -> Table:
    """Tabulate the matrix: each cell is the UAR, its interval and chance; the last column is the mean of the row."""
    lines = tuple(
        (row, *(_cell(matrix.cell(row, column)) for column in matrix.columns), _mean(matrix.means[row]))
        for row in matrix.rows
    )
    return Table(
        caption=f"UAR in percent [{matrix.level:.0%} interval] (chance). Mean: over the corpora not trained on.",
        header=("trained on \\ tested on", *matrix.columns, "mean"),
        rows=lines,
    )


def settings(runs: Sequence[Run]) -> Table:
    """Tabulate the runs that the matrix was made from."""
    lines = tuple(
        (run.name, run.result.preset, run.result.corpus, run.result.protocol, f"{run.result.seed}",
         f"{len(run.result.folds)}", f"{run.result.n_epochs}", run.result.selection)
        for run in runs
    )  # fmt: skip
    header = ("run", "preset", "corpus", "protocol", "seed", "folds", "epochs", "selection")
    return Table(caption="The runs.", header=header, rows=lines)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return NONE
    return f"{_short(cell.unweighted_average_recall)} [{_bounds(cell)}] ({_short(cell.chance)})"


def _bounds(cell: Cell) -> str:
    return f"{_short(cell.interval[0])}{NONE}{_short(cell.interval[1])}"


def _mean(value: float | None) -> str:
    return NONE if value is None else _short(value)


def _short(value: float) -> str:
    return f"{100 * value:.1f}"
