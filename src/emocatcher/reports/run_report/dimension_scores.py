"""Report how well dimensions, such as arousal, are estimated: a sentence, a table, and estimates against ratings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.evaluation.scoring.run_result import DimensionScore
from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.tables import NONE, Table

_MOST_AS_SHAPES = 2_000  # points; more are drawn as an image, which keeps the page small


def sentence(scores: Sequence[DimensionScore]) -> str:
    """State the CCC of each dimension in one sentence; "" without dimensions."""
    if not scores:
        return ""
    found = [f"{one.name} {one.concordance.mean:.3f} ({_interval(one)})" for one in scores]
    return (
        f"Dimensions, by the concordance correlation coefficient (CCC; 95% interval by drawing {scores[0].resampled}): "
        f"{', '.join(found)}."
    )


def table(scores: Sequence[DimensionScore]) -> Table | None:
    """Tabulate the scores of the dimensions; None without any."""
    if not scores:
        return None
    return Table(
        caption="Estimates of the test utterances that are rated, over all folds: concordance correlation coefficient "
        "(CCC, at most 1), and mean absolute error in the units of the ratings.",
        header=("dimension", "range", "rated", "CCC", "95% interval", "mean absolute error"),
        rows=tuple(
            (one.name, f"{one.low:g} to {one.high:g}", f"{one.n_utterances:,}", f"{one.concordance.mean:.3f}",
             _interval(one), f"{one.mean_absolute_error:.3g}")
            for one in scores
        ),
    )  # fmt: skip


def draw(run: Run) -> style.Drawing | None:
    """Draw the estimates against the ratings, a panel for each dimension; None without any."""
    scores = run.result.dimensions
    if not scores:
        return None
    n, side = len(scores), 1.9  # inches
    width = 0.48 + n * side + (n - 1) * 0.45 + 0.12
    figure, axes = style.panels(
        1, n, (width, side + 0.48 + 0.36 + style.FOOTER + 0.1), left=0.48, right=0.12, top=0.48, bottom=0.46,
        gaps=(0.45, 0.4),
    )  # fmt: skip
    for column, (panel, one) in enumerate(zip(axes[0], scores, strict=True)):
        true, estimated = run.predictions.ratings[:, column], run.predictions.estimated[:, column]
        rated = ~np.isnan(true)
        margin = 0.04 * (one.high - one.low)
        limits = (one.low - margin, one.high + margin)
        panel.plot(limits, limits, color=style.FAINT, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        panel.plot(
            true[rated], estimated[rated], "o", color=style.TEST, markersize=2.6, alpha=0.6, markeredgewidth=0,
            rasterized=int(rated.sum()) > _MOST_AS_SHAPES,
        )  # fmt: skip
        panel.set_xlim(limits)
        panel.set_ylim(limits)
        panel.grid()
        panel.set_xlabel("rating")
        if column == 0:
            panel.set_ylabel("estimate")
        panel.set_title(f"{one.name}: CCC {one.concordance.mean:.3f}", fontsize=7, fontweight="normal")
    style.heading(figure, "Dimensions")
    named = ", ".join(f"{one.name} {one.concordance.mean:.3f}" for one in scores)
    return style.Drawing(
        name="dimensions",
        title="Estimates and ratings",
        caption="Each dot is a test utterance of any fold; on the dashed line, the estimate equals the rating. A cloud "
        "that is flatter than the line has estimates that stay too near to their mean.",
        alt=f"Scatter plots of estimates against ratings; concordance correlation coefficients: {named}.",
        figure=figure,
    )


def _interval(one: DimensionScore) -> str:
    low, high = one.concordance.interval
    return f"{low:.3f}{NONE}{high:.3f}"
