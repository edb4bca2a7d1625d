"""Draw the shares of the emotions: over all rows, over time, by group; and how probable the answers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.labels import colours
from emocatcher.reports.run_report import style
from emocatcher.reports.table_report.counts import Grouping, Tally
from emocatcher.reports.table_report.course import Course

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_GROUPS = 24  # drawn; a table has more
_MOST_COLOURS = 12  # emotions that are drawn by themselves
OTHERS = "other emotions"
_ROW_HEIGHT, _BAR = 0.21, 0.72  # inches; the bar's part of it
_THIN, _GAP, _PALE = 0.24, 0.06, 0.5  # beside a bar: a thin one, their distance as parts of a row; its opacity
_LEGEND_WIDTH = 1.25
_TICKS = 7


def shares(tally: Tally) -> style.Drawing:
    """Draw each emotion's share of the answers, and its mean probability, at the width of one column."""
    labels = shown(tally)
    names = [style.shorten(label) for label in labels]
    counts = merged({label: one.n_answered for label, one in tally.emotions.items()}, labels)
    means = {label: one.mean_probability for label, one in tally.emotions.items() if one.mean_probability is not None}
    expected = merged(means, labels)
    height = len(labels) * _ROW_HEIGHT + 0.48 + 0.38 + style.FOOTER
    left = style.label_width(names) + 0.08
    figure, axes = style.panels(1, 1, (style.SINGLE, height), left=left, right=0.75, top=0.48, bottom=0.38)
    panel, rows = axes[0, 0], np.arange(len(labels))
    values = counts / max(tally.n_answered, 1)
    panel.barh(rows, values, height=_BAR, color=_shades(tally, labels), edgecolor=style.EDGE, linewidth=0.4)
    if means:
        panel.plot(
            expected, rows, "o", markersize=3.4, markerfacecolor=style.PAPER, markeredgecolor=style.INK, mew=0.7,
            clip_on=False, zorder=4,
        )  # fmt: skip
    panel.set_yticks(rows, names)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.set_xlim(0, min(1.0, 1.12 * max([*values, *(expected if means else ()), 0.09])))
    _across(panel, "share of the answers")
    transform = panel.get_yaxis_transform()
    for row, (value, n) in enumerate(zip(values, counts, strict=True)):
        for x, words, colour in ((1.17, f"{value:.1%}", style.INK), (1.33, f"{n:,.0f}", style.FAINT)):
            panel.text(x, row, words, ha="right", va="center", fontsize=6.5, color=colour, transform=transform)
    panel.text(1.33, -0.75, "n", ha="right", va="center", fontsize=6.5, color=style.FAINT, transform=transform)
    style.heading(figure, f"Emotions of {tally.n_answered:,} answers")
    dots = " Hollow dots: mean probability over all rows with speech, also where the model abstained." if means else ""
    summary = ", ".join(f"{label} {value:.1%}" for label, value in zip(labels, values, strict=True))
    return style.Drawing(
        name="shares",
        title="Shares of the emotions",
        caption=f"Share of each emotion among the answers, and their number n.{dots}",
        alt=f"Bar chart of {tally.n_answered} answers: {summary}.",
        figure=figure,
    )


def probabilities(tally: Tally) -> style.Drawing:
    """Draw how many rows have which probability, answered and abstained, at the width of one column."""
    n_rows = max(len(shown(tally)), 4)
    height = n_rows * _ROW_HEIGHT + 0.48 + 0.38 + style.FOOTER  # as high as the figure beside it
    figure, axes = style.panels(1, 1, (style.SINGLE, height), left=0.48, right=0.2, top=0.48, bottom=0.38)
    panel = axes[0, 0]
    answered, abstained = (np.array(counts) for counts in tally.histogram)
    edges = np.linspace(0, 1, len(answered) + 1)
    looks: dict[str, Any] = {"width": edges[1], "align": "edge", "edgecolor": style.PAPER, "linewidth": 0.5}
    panel.bar(edges[:-1], answered, color=style.TEST, label="answered", **looks)
    panel.bar(edges[:-1], abstained, bottom=answered, color=style.FAINT, label="abstained", **looks)
    panel.set_xlim(0, 1)
    _whole_axis(panel)
    panel.grid(axis="y")
    panel.set_xlabel("probability of the emotion")
    style.percent_axis(panel, x=True)
    panel.set_ylabel("rows")
    panel.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, borderaxespad=0, handlelength=1.0)
    style.heading(figure, "How sure")
    return style.Drawing(
        name="probabilities",
        title="How sure",
        caption="Rows by the calibrated probability of their emotion; those without speech have none.",
        alt=f"Histogram of the probability of the emotion: {answered.sum()} answered and {abstained.sum()} abstained.",
        figure=figure,
    )


def course(tally: Tally, found: Course) -> style.Drawing:
    """Draw the shares of the emotions in each part, and below them the number of rows, at the width of two columns."""
    labels = shown(tally)
    figure, axes = style.panels(
        2, 1, (style.DOUBLE, 3.1), left=0.48, right=_LEGEND_WIDTH, top=0.36, bottom=0.42, gaps=(0, 0.14),
        sharex=True, height_ratios=(2.6, 1),
    )  # fmt: skip
    upper, lower = axes[:, 0]
    at = np.arange(len(found.parts))
    counts = np.array([merged(part.emotions, labels) for part in found.parts])
    _stack(upper, tally, labels, at, _fractions(counts), across=None)
    upper.set_ylim(0, 1)
    style.percent_axis(upper)
    upper.set_ylabel("share of the answers")
    upper.tick_params(axis="x", length=0)
    under = np.zeros(len(at))
    for name, colour in (("answered", style.TEST), ("abstained", style.FAINT), ("failed", style.MARK)):
        n = np.array([getattr(part, f"n_{name}") for part in found.parts])
        if n.any():
            lower.bar(at, n, bottom=under, color=colour, width=1.0, edgecolor=style.PAPER, linewidth=0.4, label=name)
            under = under + n
    _whole_axis(lower)
    lower.grid(axis="y")
    lower.set_ylabel("rows")
    lower.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0, handlelength=1.0)
    every = -(-len(at) // _TICKS)
    lower.set_xticks(at[::every] - 0.5, [part.start for part in found.parts[::every]])
    lower.set_xlim(-0.5, len(at) - 0.5)
    zone = ", UTC" if found.is_utc else ""
    lower.set_xlabel(f"{found.by or 'row of the table'}, parts of {found.step}{zone}")
    style.heading(figure, f"Course by {found.part}" if found.part else f"Course in parts of {found.step}")
    way = f"the column {found.by}{zone}" if found.by else "the order of rows in the table"
    return style.Drawing(
        name="course",
        title="Course",
        caption=f"By {way}, in parts of {found.step}. Above: shares of the emotions among the answers of each part. "
        "Below: its rows; those on which the model abstained are in no share. Shares of few rows vary by chance.",
        alt=f"Stacked bars of the shares of {len(labels)} emotions in {len(at)} parts, from {found.parts[0].start} to "
        f"{found.parts[-1].start}.",
        figure=figure,
    )


def groups(tally: Tally, found: Grouping, names: Sequence[str], number: int, which: str = "") -> style.Drawing:
    """Draw the shares of the emotions in each group, one bar below the other, at the width of two columns.

    Abstaining can hide a difference between groups, or make one. So where the model abstained, a thin, pale bar below
    each one has all rows with speech, by their most probable emotion.

    Args:
        tally: the whole table.
        found: its groups, at most `N_GROUPS`.
        names: how to show them.
        number: of the grouping, for ids: a column's name may be any text.
        which: of all groups, as a sentence for the caption.
    """
    labels = shown(tally)
    short = style.shorten_all(list(names), 26)
    rows = [f"{name}" for name in short]
    has_doubts = any(group.guesses for group in found.groups)
    row_height = _ROW_HEIGHT * (1 + (_THIN + _GAP) * has_doubts)
    inside = max(len(rows) * row_height, 0.135 * len(labels))  # as high as the legend
    height = inside + 0.42 + 0.38 + style.FOOTER
    left = style.label_width(rows) + 0.08
    figure, axes = style.panels(
        1, 1, (style.DOUBLE, height), left=left, right=_LEGEND_WIDTH + 0.75, top=0.42, bottom=0.38
    )
    panel, at = axes[0, 0], np.arange(len(rows))
    counts = np.array([merged(group.emotions, labels) for group in found.groups])
    spoken = counts + np.array([merged(group.guesses, labels) for group in found.groups])
    thickness = min(_BAR, 1.5 * _BAR * row_height * len(rows) / inside) * (1 - (_THIN + _GAP) * has_doubts)
    middle = at - (_THIN + _GAP) / 2 * has_doubts
    _stack(panel, tally, labels, middle, _fractions(counts), across=thickness)
    if has_doubts:
        _stack(
            panel, tally, labels, middle + thickness / 2 + _GAP + _THIN / 2, _fractions(spoken), across=_THIN, pale=True
        )
    panel.set_yticks(at, rows)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlim(0, 1)
    _across(panel, "share of the answers" + "; pale: of the rows with speech" * has_doubts)
    transform = panel.get_yaxis_transform()
    looks: dict[str, Any] = {
        "ha": "right",
        "va": "center",
        "fontsize": 6.5,
        "color": style.FAINT,
        "transform": transform,
    }
    for row, (group, n) in enumerate(zip(found.groups, spoken.sum(axis=1), strict=True)):
        panel.text(1.145, row, f"{group.n_answered:,} of {n:,.0f}", **looks)
    panel.text(1.145, -0.75, "answered", **looks)
    style.heading(figure, f"By {style.shorten(found.by, 40)}")
    return style.Drawing(
        name=f"group-{number}",
        title=f"By {found.by}",
        caption=f"{which}Shares of the emotions among the answers of each group.{_THIN_BARS * has_doubts} "
        "Right: how many of the rows with speech were answered.",
        alt=f"Stacked bars of the shares of {len(labels)} emotions in {len(rows)} groups.",
        figure=figure,
    )


_THIN_BARS = " Thin and pale: among all rows with speech, where the model abstained by its best guess."


def shown(tally: Tally) -> list[str]:
    """Return the emotions that are drawn by themselves, the most frequent of many, in the model's order."""
    if len(tally.labels) <= _MOST_COLOURS:
        return list(tally.labels)
    ranked = sorted(tally.labels, key=lambda label: -tally.emotions[label].n_answered)[: _MOST_COLOURS - 1]
    return [*(label for label in tally.labels if label in ranked), OTHERS]


def merged(values: Mapping[str, float], labels: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a value for each shown emotion; the last one may stand for all others."""
    found = np.array([values.get(label, 0.0) for label in labels], dtype=np.float64)
    if labels and labels[-1] == OTHERS:
        found[-1] = sum(value for label, value in values.items() if label not in labels[:-1])
    return found


def _fractions(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row of counts as parts of its sum."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), dtype=np.float64)


def _shades(tally: Tally, labels: Sequence[str]) -> list[str]:
    known = colours(tally.labels)
    return [known.get(label, style.BAND) for label in labels]


def _stack(
    panel: Axes,
    tally: Tally,
    labels: Sequence[str],
    at: NDArray[np.int64] | NDArray[np.floating[Any]],
    values: NDArray[np.float64],
    *,
    across: float | None,
    pale: bool = False,
) -> None:
    """Draw stacked bars, with a legend in their order beside them; pale ones have none.

    `across`: from left to right, of this thickness.
    """
    before = np.zeros(len(at))
    for label, colour, column in zip(labels, _shades(tally, labels), values.T, strict=True):
        looks: dict[str, Any] = {
            "color": colour,
            "edgecolor": style.PAPER,
            "linewidth": 0.4,
            "label": style.shorten(label),
            "alpha": _PALE if pale else None,
        }
        if across is not None:
            panel.barh(at, column, left=before, height=across, **looks)
        else:
            panel.bar(at, column, bottom=before, width=1.0, **looks)
        before = before + column
    if pale:
        return
    # Upright bars begin at the bottom, so their legend does too.
    handles, names = panel.get_legend_handles_labels()
    order = slice(None) if across is not None else slice(None, None, -1)
    beside = 1.17 if across is not None else 1.01
    panel.legend(
        handles[order], names[order], loc="center left", bbox_to_anchor=(beside, 0.5), borderaxespad=0,
        handlelength=1.0, labelspacing=0.3,
    )  # fmt: skip


def _across(panel: Axes, name: str) -> None:
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x")
    panel.spines["left"].set_visible(False)
    panel.set_xlabel(name)
    style.percent_axis(panel, x=True)


def _whole_axis(panel: Axes) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    panel.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
