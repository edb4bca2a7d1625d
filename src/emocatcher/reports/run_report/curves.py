"""Draw accuracy and loss per epoch on the training, validation and test parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emocatcher.evaluation.run_folder import Floats, Run
from emocatcher.reports.run_report import chance, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARTS = {"train": (style.TRAIN, (0, (3.2, 1.4))), "valid": (style.VALID, (0, (1, 1.2))), "test": (style.TEST, "-")}
_N_LATE = 10  # the tables average over the last ten epochs
_HIGH = 0.6  # curves that end higher leave room for the legend below them, others above
_MIN_SHADED = 2 * _N_LATE  # with fewer epochs, shading would cover most of the panel


def draw(run: Run) -> style.Drawing:
    """Draw accuracy and loss; with several folds, each fold as a thin line and their mean as a bold one."""
    result = run.result
    n_folds = len(result.folds)
    figure, axes = style.panels(1, 2, (style.DOUBLE, 2.75), left=0.45, top=0.3, gaps=(0.5, 0))
    for panel, quantity, title in zip(axes[0], ("accuracy", "loss"), ("Accuracy (WAR)", "Loss"), strict=True):
        _draw_panel(panel, run, quantity)
        panel.set_title(title)
    style.percent_axis(axes[0, 0])
    axes[0, 0].set_ylim(0, 1)
    guessed = chance.level(run).accuracy
    chance.mark(axes[0, 0], guessed, across=True)
    if run.curves["test_accuracy"][:, -1].mean() > _HIGH:
        axes[0, 0].legend(loc="lower right", bbox_to_anchor=(1, min(guessed, 0.3)), borderaxespad=0.2)
    else:
        axes[0, 0].legend(loc="upper left")
    folds = "one fold" if n_folds == 1 else f"{n_folds} folds"
    last_test, last_train = (_mean(run.curves[f"{part}_accuracy"])[-1] for part in ("test", "train"))
    shaded = f" Shaded: the last {_N_LATE} epochs." if result.n_epochs > _MIN_SHADED else ""
    thin = "" if n_folds == 1 else " Thin lines are single folds, bold lines their mean."
    return style.Drawing(
        name="curves",
        title="Learning curves",
        caption=(
            f"Accuracy and loss per epoch, {folds}.{thin} Training values are running means over the "
            "epoch, with dropout active. Stars mark each fold's best epoch on the test part, an optimistic value "
            f"because it was chosen on the test part.{shaded} Dotted: chance, the accuracy of always answering the "
            "most frequent emotion of the test part."
        ),
        alt=(
            f"Two line charts over {result.n_epochs} epochs, {folds}. Accuracy ends at {last_train:.1%} on the "
            f"training part and {last_test:.1%} on the test part."
        ),
        figure=figure,
    )


def _draw_panel(panel: Axes, run: Run, quantity: str) -> None:
    from matplotlib.ticker import MaxNLocator

    n_folds, n_epochs = run.curves["test_accuracy"].shape
    epochs = np.arange(1, n_epochs + 1)
    if n_epochs > _MIN_SHADED:
        panel.axvspan(n_epochs - _N_LATE + 0.5, n_epochs + 0.5, color=style.BAND, linewidth=0, zorder=0)
    for part, (colour, line) in _PARTS.items():
        values = run.curves[f"{part}_{quantity}"]
        if np.isnan(values).all():
            continue
        marker = "o" if n_epochs < 3 else ""
        if n_folds > 1:
            for fold in values:
                panel.plot(epochs, fold, color=colour, linestyle=line, linewidth=0.5, alpha=0.45, marker=marker, ms=1.5)
        label = part if n_folds == 1 else f"{part}, mean"
        panel.plot(epochs, _mean(values), color=colour, linestyle=line, linewidth=1.5, marker=marker, ms=3, label=label)
    _mark_best(panel, run, quantity)
    panel.set_xlabel("epoch")
    panel.set_xlim(0.5, n_epochs + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
    panel.grid(axis="y")


def _mark_best(panel: Axes, run: Run, quantity: str) -> None:
    accuracy = run.curves["test_accuracy"]
    if np.isnan(accuracy).any():
        return
    best = accuracy.argmax(axis=1)
    values = run.curves[f"test_{quantity}"][np.arange(best.size), best]
    label = "best on test (optimistic)"
    if best.size == 1:
        label += f": {accuracy.max():.2%}, epoch {best[0] + 1}"
    panel.plot(
        best + 1, values, linestyle="", marker="*", markersize=6.5, markerfacecolor=style.PAPER,
        markeredgecolor=style.MARK, markeredgewidth=0.8, label=label, zorder=5, clip_on=False,
    )  # fmt: skip


def _mean(values: Floats) -> Floats:
    # A diverged fold has NaN in place of a loss; an epoch without any value stays NaN, without NumPy's warning.
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    n_known = known.sum(axis=0)
    mean: Floats = np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)
    return mean
