"""Draw the matrix as a heat map: how far each UAR is above chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.between import Cell
from emocatcher.reports.run_report.corpus_matrix import Matrix
from emocatcher.reports.run_report.panel_texts import Word, write_words
from emocatcher.reports.run_report.shades import sequential, text_colour
from emocatcher.reports.run_report.tables import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 0.86, 0.46  # inches, of a cell with three lines of text
_GAP = 0.12  # cells, before the column of means
_LINE = 0.27  # cells, from one line of text to the next


def draw(matrix: Matrix) -> style.Drawing:
    """Draw rows trained on and columns tested on, with UAR, interval and chance in each cell."""
    names, tested = style.shorten_all(list(matrix.rows), 24), style.shorten_all(list(matrix.columns), 24)
    n_rows, n_columns = len(names), len(tested)
    row_margin, column_margin = style.label_width(names), style.label_width(tested)
    left, bottom = row_margin + 0.3, 0.68 * column_margin + 0.16
    width = max(left + (n_columns + 1 + _GAP) * _WIDTH + 0.12, style.SINGLE)
    size = (width, 0.46 + n_rows * _HEIGHT + bottom + style.FOOTER)
    right = width - left - (n_columns + 1 + _GAP) * _WIDTH
    figure, axes = style.panels(1, 1, size, left=left, right=right, top=0.46, bottom=bottom, gaps=(0, 0))
    panel = axes[0, 0]
    panel.set_axis_off()
    panel.set_xlim(0, n_columns + 1 + _GAP)
    panel.set_ylim(n_rows, 0)
    for i, row in enumerate(matrix.rows):
        for j, column in enumerate(matrix.columns):
            _draw_cell(panel, j, i, matrix.cell(row, column))
        mean = matrix.means[row]
        words = NONE if mean is None else f"{100 * mean:.1f}"
        write_words(panel, [Word(n_columns + _GAP + 0.5, i + 0.5, words, bold=True)])
    _write_names(panel, names, tested, row_margin)
    style.heading(figure, "Rows trained on, columns tested on · UAR, %")
    best = max(matrix.cells, key=lambda cell: cell.unweighted_average_recall - cell.chance)
    return style.Drawing(
        name="matrix",
        title="Trained on, tested on",
        caption=f"UAR in percent, its {matrix.level:.0%} interval, and chance. The darker, the further above chance "
        "towards 100 (on a dark page, the lighter). Framed: other speakers of the same corpus. Mean: over the "
        "corpora that a row was not trained on.",
        alt=f"Heat map of {n_rows} rows trained on and {n_columns} columns tested on. Furthest above chance: "
        f"{_describe(best)}.",
        figure=figure,
    )


def above_chance(cell: Cell) -> float:
    """Return how far a UAR is from chance towards 1, in 0..1; chance and below are 0."""
    return max(0.0, (cell.unweighted_average_recall - cell.chance) / (1 - cell.chance))


def _draw_cell(panel: Axes, column: int, row: int, cell: Cell | None) -> None:
    from matplotlib.patches import Rectangle

    if cell is None:
        write_words(panel, [Word(column + 0.5, row + 0.5, NONE, style.FAINT)])
        return
    # From the first shade on: a cell at chance is still a cell.
    background = sequential()(0.03 + 0.97 * above_chance(cell))
    panel.add_patch(
        Rectangle((column, row), 1, 1, facecolor=background, edgecolor=style.PAPER, linewidth=1.0, clip_on=False)
    )
    if cell.is_within:
        panel.add_patch(
            Rectangle((column + 0.03, row + 0.05), 0.94, 0.9, fill=False, edgecolor=style.EDGE, linewidth=0.9)
        )
    colour = text_colour(np.array(background))
    low, high = (100 * bound for bound in cell.interval)
    lines = (
        f"{100 * cell.unweighted_average_recall:.1f}",
        f"{low:.0f}{NONE}{high:.0f}",
        f"chance {100 * cell.chance:.0f}",
    )
    write_words(
        panel,
        [Word(column + 0.5, row + 0.5 + (i - 1) * _LINE, line, colour, bold=i == 0) for i, line in enumerate(lines)],
    )


def _write_names(panel: Axes, names: list[str], tested: list[str], row_margin: float) -> None:
    n_rows, n_columns = len(names), len(tested)
    inch_x, inch_y = 1 / _WIDTH, 1 / _HEIGHT
    words = [Word(-0.06 * inch_x, i + 0.5, name, anchor=1.0) for i, name in enumerate(names)]
    words += [Word(j + 0.5, n_rows + 0.1 * inch_y, name, anchor=1.0, angle=40) for j, name in enumerate(tested)]
    words += [
        Word(n_columns + _GAP + 0.5, n_rows + 0.14 * inch_y, "mean"),
        Word(-(row_margin + 0.14) * inch_x, n_rows / 2, "trained on", angle=90, colour=style.FAINT),
        Word(n_columns / 2, -0.1 * inch_y, "tested on", colour=style.FAINT),
    ]
    write_words(panel, words)


def _describe(cell: Cell) -> str:
    return (
        f"trained on {cell.row}, tested on {cell.column}, {cell.unweighted_average_recall:.1%} with chance "
        f"{cell.chance:.1%}"
    )
