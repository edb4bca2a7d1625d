"""Draw reliability diagrams, one small panel per row: accuracy per confidence bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emocatcher.reports.comparison.scores import Row
from emocatcher.reports.comparison.tables import SHARED, calibration_error, marks
from emocatcher.reports.run_report import figure_files, reliability, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_COLUMNS, _FIT_ONE_COLUMN = 4, 2
_PANEL, _TITLE = 1.35, 0.5  # inches


def draw(rows: Sequence[Row]) -> style.Drawing:
    """Draw each row's reliability diagram: up to two at the width of one column, more at the width of two."""
    width = style.SINGLE if len(rows) <= _FIT_ONE_COLUMN else style.DOUBLE
    bottom = 0.35 if width > style.SINGLE else 0.5  # at one column, marks take a line of their own
    n_columns = min(max(len(rows), 2), _MAX_COLUMNS)
    n_rows = -(-len(rows) // n_columns)
    height = 0.25 + _TITLE + n_rows * _PANEL + (n_rows - 1) * (_TITLE + 0.25) + bottom + style.FOOTER
    figure, axes = style.panels(
        n_rows, n_columns, (width, height), left=0.5, right=0.2, top=0.25 + _TITLE, bottom=bottom,
        gaps=(0.3, _TITLE + 0.25),
    )  # fmt: skip
    names = style.shorten_all([row.name for row in rows], 26)
    for index, panel in enumerate(axes.flat):
        if index >= len(rows):
            panel.set_axis_off()
            continue
        edges = {"leftmost": index % n_columns == 0, "lowest": index + n_columns >= len(rows)}
        _draw_panel(panel, rows[index], names[index], **edges)
    style.heading(figure, "Reliability: confidence and accuracy")
    found = ["SYNTHETIC corpus"] * any(row.synthetic for row in rows)
    found += [style.OPTIMISTIC] * any(row.optimistic for row in rows)
    figure_files.stamp_words(figure, reliability.LEGEND, found, synthetic=all(row.synthetic for row in rows))
    summary = "; ".join(
        f"{row.name} {calibration_error(row.expected_calibration_error)}, {_describe_bias(row)}" for row in rows
    )
    return style.Drawing(
        name="reliability",
        title="Calibration",
        caption=(
            f"{reliability.CAPTION} "
            "ECE is the expected calibration error over 15 bins of the uncalibrated probabilities, lower is better; "
            "seeds share one diagram, and their ECE is a mean."
        ),
        alt=f"Reliability diagrams; expected calibration error: {summary}.",
        figure=figure,
    )


def _describe_bias(row: Row) -> str:
    bins = row.reliability
    weighted = [
        (confidence - accuracy) * n
        for confidence, accuracy, n in zip(bins.confidence, bins.accuracy, bins.n_utterances, strict=True)
        if confidence is not None and accuracy is not None
    ]
    return "overconfident" if sum(weighted) > 0 else "underconfident"


def _draw_panel(panel: Axes, row: Row, name: str, *, leftmost: bool, lowest: bool) -> None:
    bins = row.reliability
    reliability.draw_panel(panel, bins.confidence, bins.accuracy, bins.n_utterances, leftmost=leftmost, lowest=lowest)
    title = "\n".join(
        [
            name,
            style.shorten(row.protocol, 15) + f", shared: {SHARED[row.speakers_shared]}",
            f"ECE {calibration_error(row.expected_calibration_error)}",
            *([" · ".join(marks(row))] if marks(row) else []),
        ]
    )
    drawn = panel.set_title(title, fontsize=6, fontweight="normal", linespacing=1.2)
    if marks(row):
        drawn.set_color(style.MARK)
