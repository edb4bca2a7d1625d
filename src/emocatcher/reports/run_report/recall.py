"""Draw recall per emotion: a bar with its interval, and a dot for each fold."""

from __future__ import annotations

from typing import Any

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.foundation.labels import colours
from emocatcher.reports.run_report import chance, style
from emocatcher.reports.run_report.tables import NONE, recall_bounds, recall_of

_ROW_HEIGHT = 0.21  # inches


def draw(run: Run) -> style.Drawing:
    """Draw recall per emotion at the width of one column."""
    result = run.result
    labels = result.labels
    names = [style.shorten(label) for label in labels]
    values = np.array([recall_of(fold.selected, labels) for fold in result.folds])
    mean = recall_of(result.mean.selected, labels)
    counts = np.bincount(run.predictions.emotion, minlength=len(labels))
    uar = result.mean.selected.unweighted_average_recall
    height = len(labels) * _ROW_HEIGHT + 0.48 + 0.38 + style.FOOTER
    figure, axes = style.panels(
        1, 1, (style.SINGLE, height), left=style.label_width(names) + 0.08, right=0.75, top=0.48, bottom=0.38
    )
    panel = axes[0, 0]
    rows = np.arange(len(labels))
    shades = list(colours(labels).values())
    panel.barh(rows, np.nan_to_num(mean), height=0.72, color=shades, edgecolor=style.EDGE, linewidth=0.4)
    bounds = recall_bounds(run)
    known = np.flatnonzero(~np.isnan(bounds[:, 0]))
    for colour, width in ((style.PAPER, 2.6), (style.INK, 1.0)):  # an edge, so that it is visible on dark bars too
        panel.hlines(rows[known], *bounds[known].T, color=colour, linewidth=width, zorder=3)
    if len(result.folds) > 1:
        for fold in values:
            panel.plot(
                fold, rows + 0.22, "o", markersize=2.2, markerfacecolor=style.PAPER, markeredgecolor=style.INK, mew=0.5,
                clip_on=False, zorder=4,
            )  # fmt: skip
    panel.axvline(uar, color=style.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=2)
    chance.mark(panel, chance.level(run).recall, across=False)
    panel.set_yticks(rows, names)
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.set_xlim(0, 1)
    panel.grid(axis="x")
    panel.spines["left"].set_visible(False)
    panel.set_xlabel("recall")
    style.percent_axis(panel, x=True)
    looks: dict[str, Any] = {"va": "center", "fontsize": 6.5, "transform": panel.get_yaxis_transform()}
    panel.text(1.33, -0.75, "n", ha="right", color=style.FAINT, **looks)
    for row, value in zip(rows, mean, strict=True):
        panel.text(1.33, row, f"{counts[row]}", ha="right", color=style.FAINT, **looks)
        panel.text(1.17, row, NONE if np.isnan(value) else f"{value:.1%}", ha="right", **looks)
    style.heading(figure, f"Recall per emotion · UAR {uar:.2%}")
    dots = "" if len(result.folds) == 1 else " Bars are means over folds, hollow dots are single folds."
    lowest, highest = min(known, key=lambda index: mean[index]), max(known, key=lambda index: mean[index])
    return style.Drawing(
        name="recall",
        title="Recall per emotion",
        caption=(
            f"Recall per emotion on the test part, with n, the number of test utterances.{dots} Lines: 95% intervals "
            f"over all folds by bootstrap over {result.interval.resampled}. Dashed: unweighted average recall (UAR). "
            "Dotted: chance."
        ),
        alt=(
            f"Bar chart of recall per emotion; UAR {uar:.1%}. Lowest {labels[lowest]} {mean[lowest]:.1%}, "
            f"highest {labels[highest]} {mean[highest]:.1%}."
        ),
        figure=figure,
    )
