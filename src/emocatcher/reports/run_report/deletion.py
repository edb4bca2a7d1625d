"""Report whether attention is faithful: how the answer's probability drops when parts of a clip are deleted."""

from __future__ import annotations

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.evaluation.scoring.faithfulness import CHOICES
from emocatcher.evaluation.scoring.run_result import Estimate, Faithfulness
from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.tables import Table

_NAMES = dict(zip(CHOICES, ("most attended", "random", "least attended", "most important by occlusion"), strict=True))
_COLOURS = dict(zip(CHOICES, (style.TEST, style.FAINT, style.TRAIN, style.VALID), strict=True))
_ROW_HEIGHT = 0.27  # inches


def verdict(run: Run) -> str:
    """State whether attention is faithful, with the numbers behind it; empty for a run of an earlier version."""
    found = run.result.faithfulness
    if found is None:
        return ""
    share = f"{found.share_deleted:.0%}"
    measured = (
        f"deleting the most attended {share} of a clip lowers the probability of its answer by "
        f"{_points(found.attended.mean)} points, deleting a random {share} by {_points(found.random.mean)} "
        f"({found.level:.0%} interval of the difference {_bounds(found.attended_minus_random)})"
    )
    by_occlusion = f"deleting the {share} that matter most by occlusion lowers it by {_points(found.occlusion.mean)}"
    if found.attended_minus_random.interval[0] > 0:
        return f"Attention is faithful{_in_folds(run)}: {measured}; {by_occlusion}."
    if found.occlusion_minus_random.interval[0] > 0:
        return f"Attention is not faithful: {measured}. Use occlusion instead: {by_occlusion}."
    return f"Attention is not faithful: {measured}. Occlusion is not faithful either: {by_occlusion}."


def _in_folds(run: Run) -> str:
    """State in how many folds attention beats random deletion, where there are several folds."""
    folds = [fold.faithfulness for fold in run.result.folds if fold.faithfulness]
    n_ahead = sum(one.attended_minus_random.mean > 0 for one in folds)
    return f" overall, and in {n_ahead} of {len(folds)} folds" if len(folds) > 1 else ""


def table(run: Run) -> Table | None:
    """Tabulate the mean drops per fold, and over all clips with intervals; None for a run of an earlier version."""
    found = run.result.faithfulness
    if found is None:
        return None
    known = [(fold.fold, fold.faithfulness) for fold in run.result.folds if fold.faithfulness]
    rows = [(f"fold {number}", *_cells(one)) for number, one in known] if len(run.result.folds) > 1 else []
    rows.append(("all clips", *_cells(found)))
    estimates = [*(getattr(found, name) for name in CHOICES), found.attended_minus_random]
    rows.append(
        (f"{found.level:.0%} interval ({found.resampled})", "", *map(_bounds, estimates), _bounds(found.attended_ahead))
    )
    return Table(
        caption=f"Drop in the probability of the answer with {found.share_deleted:.0%} of a clip deleted, in points.",
        header=("deleted", "clips", *_NAMES.values(), "most attended minus random",
                "clips where most attended drops more, %"),
        rows=tuple(rows),
        n_summary=2,
    )  # fmt: skip


def _cells(found: Faithfulness) -> tuple[str, ...]:
    means = [*(getattr(found, name) for name in CHOICES), found.attended_minus_random, found.attended_ahead]
    return f"{found.n_clips}", *(_points(one.mean) for one in means)


def draw(run: Run) -> style.Drawing | None:
    """Draw the four mean drops with their intervals; None for a run of an earlier version."""
    found = run.result.faithfulness
    if found is None:
        return None
    names = list(_NAMES.values())
    height = 0.35 + len(names) * _ROW_HEIGHT + 0.38 + style.FOOTER
    figure, axes = style.panels(
        1, 1, (style.SINGLE, height), left=style.label_width(names) + 0.06, right=0.36, top=0.35, bottom=0.38
    )
    panel = axes[0, 0]
    n_test = sum(fold.n_test for fold in run.result.folds)
    of_folds = [fold.faithfulness for fold in run.result.folds if fold.faithfulness]
    ends = [0.0]
    for at, choice in enumerate(CHOICES):
        estimate: Estimate = getattr(found, choice)
        folds = [getattr(one, choice).mean for one in of_folds] if len(of_folds) > 1 else []
        panel.plot(estimate.interval, (at, at), color=_COLOURS[choice], linewidth=1.6, solid_capstyle="butt")
        panel.plot(estimate.mean, at, "o", color=_COLOURS[choice], markersize=4.4)
        panel.plot(
            folds, [at + 0.3] * len(folds), "o", markersize=2.4, markerfacecolor=style.PAPER,
            markeredgecolor=_COLOURS[choice], markeredgewidth=0.6,
        )  # fmt: skip
        panel.text(1.02, at, _points(estimate.mean), transform=panel.get_yaxis_transform(), va="center", fontsize=6.5)
        ends += [*estimate.interval, *folds]
    room = 0.05 * (max(ends) - min(ends))
    panel.set_xlim(min(ends) - room, max(ends) + room)
    panel.set_ylim(len(names) - 0.4, -0.5)
    panel.set_yticks(np.arange(len(names)), names)
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.axvline(0, color=style.INK, linewidth=0.6)
    panel.grid(axis="x")
    style.percent_axis(panel, x=True)
    panel.set_xlabel("drop in the probability of the answer")
    style.heading(figure, f"With {found.share_deleted:.0%} of a clip deleted: {found.n_clips} of {n_test} test clips")
    dots = " Hollow dots are single folds." if len(of_folds) > 1 else ""
    drops = "; ".join(f"{_NAMES[name]} {_points(getattr(found, name).mean)} points" for name in CHOICES)
    return style.Drawing(
        name="faithfulness",
        title="Deleting attended parts",
        caption=(
            f"Drop in the probability of the whole clip's answer when {found.share_deleted:.0%} of the clip is "
            f"deleted, chosen in four ways; means with {found.level:.0%} intervals by bootstrap over {found.resampled}."
            f"{dots} Faithful attention lies to the right of random. Occlusion tries every span of 0.2 s and deletes "
            "those that matter most."
        ),
        alt=f"Mean drops in probability: {drops}.",
        figure=figure,
    )


def _points(value: float) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value * 100, 1) + 0.0:.1f}"


def _bounds(estimate: Estimate) -> str:
    return f"{_points(estimate.interval[0])} to {_points(estimate.interval[1])}"  # a dash would look like a minus sign
