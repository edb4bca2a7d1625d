"""Draw recall per emotion: a bar for the mean over folds, a dot for each fold."""

from __future__ import annotations

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.foundation.labels import colours
from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.tables import NONE, recall_of

_ROW_HEIGHT = 0.21  # inches


def draw(run: Run) -> style.Drawing:
    """Draw recall per emotion at the width of one column."""
    result = run.result
    labels = result.labels
    names = [style.shorten(label) for label in labels]
    values = np.array([recall_of(fold.selected, labels) for fold in result.folds])
    mean = recall_of(result.mean.selected, labels)
    uar = result.mean.selected.unweighted_average_recall
    height = len(labels) * _ROW_HEIGHT + 0.33 + 0.38 + style.FOOTER
    figure, axes = style.panels(
        1, 1, (style.SINGLE, height), left=style.label_width(names) + 0.08, right=0.42, top=0.33, bottom=0.38
    )
    panel = axes[0, 0]
    rows = np.arange(len(labels))
    panel.barh(
        rows, np.nan_to_num(mean), height=0.72, color=list(colours(labels).values()), edgecolor="#444444", linewidth=0.4
    )
    if len(result.folds) > 1:
        for fold in values:
            panel.plot(
                fold,
                rows,
                "o",
                markersize=2.6,
                markerfacecolor="white",
                markeredgecolor="black",
                mew=0.6,
                clip_on=False,
            )
    panel.axvline(uar, color=style.INK, linewidth=0.7, linestyle=(0, (3, 2)))
    panel.set_yticks(rows, names)
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.set_xlim(0, 1)
    panel.grid(axis="x")
    panel.spines["left"].set_visible(False)
    panel.set_xlabel("recall")
    style.percent_axis(panel, x=True)
    for row, value in zip(rows, mean, strict=True):
        panel.text(1.03, row, NONE if np.isnan(value) else f"{value:.1%}", va="center", fontsize=6.5)
    style.heading(figure, f"Recall per emotion · UAR {uar:.2%}")
    dots = "" if len(result.folds) == 1 else " Bars are means over folds, dots are single folds."
    known = [index for index in rows if not np.isnan(mean[index])]
    lowest, highest = min(known, key=lambda index: mean[index]), max(known, key=lambda index: mean[index])
    return style.Drawing(
        name="recall",
        title="Recall per emotion",
        caption=f"Recall per emotion on the test part.{dots} Dashed: unweighted average recall (UAR).",
        alt=(
            f"Bar chart of recall per emotion; UAR {uar:.1%}. Lowest {labels[lowest]} {mean[lowest]:.1%}, "
            f"highest {labels[highest]} {mean[highest]:.1%}."
        ),
        figure=figure,
    )
