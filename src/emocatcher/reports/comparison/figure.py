"""Draw all rows in one figure: accuracy with its interval, range over speakers, and recall per emotion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emocatcher.reports.comparison.scores import Row
from emocatcher.reports.comparison.tables import SHARED, all_labels, marks
from emocatcher.reports.run_report import figure_files, style
from emocatcher.reports.run_report.panel_texts import Word, write_words
from emocatcher.reports.run_report.shades import sequential, text_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# The markers differ in shape too, so that they are distinct in greyscale.
_LOOKS = {"no": (style.TEST, "o"), "unknown": (style.FAINT, "D"), "yes": (style.TRAIN, "s")}
_GENDERS = {"female": ("o", style.MARK), "male": ("s", style.TEST)}
_ROW_HEIGHT = 0.36  # inches
_MAX_LEFT = 0.78  # an interval that ends below this leaves room for a number to its right
_MAX_NUMBERS = 10  # with more columns, cells are too small for numbers


def draw(rows: Sequence[Row]) -> style.Drawing:
    """Draw the rows in their order, at the width of two columns."""
    names = style.shorten_all([row.name for row in rows], 24)
    lines = [[name, style.shorten(row.protocol, 24), *_mark_line(row)] for name, row in zip(names, rows, strict=True)]
    labels = [style.shorten(label, 11) for label in all_labels(rows)]
    top, bottom = 0.2 + max(0.38, 0.72 * style.label_width(labels) + 0.08), 0.45
    left = style.label_width([text for each in lines for text in each])
    height = top + bottom + style.FOOTER + _ROW_HEIGHT * len(rows)
    figure, axes = style.panels(
        1, 3, (style.DOUBLE, height), left=left + 0.05, right=0.42, top=top, bottom=bottom, gaps=(0.28, 0)
    )
    accuracy, speakers, emotions = axes[0]
    at = np.arange(len(rows))
    _draw_accuracy(accuracy, rows)
    _draw_speakers(speakers, rows)
    _draw_emotions(emotions, rows, labels)
    for panel in axes[0]:
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_yticks([])
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        for line in _borders(rows):
            panel.axhline(line, color=style.INK, linewidth=0.9)
    accuracy.set_yticks(at, ["\n".join(each) for each in lines], linespacing=1.1)
    for text, row in zip(accuracy.get_yticklabels(), rows, strict=True):
        text.set_color(style.MARK if marks(row) else style.INK)
    style.heading(figure, "Comparison of runs; speakers not shared first")
    figure_files.stamp_words(figure, *_stamp(rows), synthetic=all(row.synthetic for row in rows))
    summary = "; ".join(
        f"{row.name}, {row.protocol}, speakers shared: {SHARED[row.speakers_shared]}, accuracy {row.accuracy.mean:.1%}"
        for row in rows
    )
    return style.Drawing(
        name="scores",
        title="Comparison of runs",
        caption=(
            "Left: accuracy with its 95% interval, by bootstrap over speakers; hollow dots are single seeds. Blue "
            "circles: tested on unseen speakers; orange squares: tested on speakers of the training part; do not "
            "compare the two. Dotted: chance. Middle: worst to best speaker, and accuracy by gender. Right: recall per "
            "emotion."
        ),
        alt=f"One row per run. {summary}.",
        figure=figure,
    )


def _mark_line(row: Row) -> list[str]:
    return [" · ".join(marks(row))] if marks(row) else []


def _borders(rows: Sequence[Row]) -> list[float]:
    kinds = [row.speakers_shared for row in rows]
    return [i + 0.5 for i, (above, below) in enumerate(itertools.pairwise(kinds)) if above != below]


def _stamp(rows: Sequence[Row]) -> tuple[str, list[str]]:
    corpora = ", ".join(dict.fromkeys(row.corpus for row in rows))
    found = ["SYNTHETIC corpus"] * any(row.synthetic for row in rows)
    found += [style.OPTIMISTIC] * any(row.optimistic for row in rows)
    n_runs = sum(len(row.runs) for row in rows)
    return style.shorten(f"{corpora} · {n_runs} run{'s' if n_runs > 1 else ''}", 60), found


def _draw_accuracy(panel: Axes, rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D

    for at, row in enumerate(rows):
        colour, marker = _LOOKS[row.speakers_shared]
        mean = row.accuracy.mean or 0.0
        panel.plot(row.accuracy_interval, (at, at), color=colour, linewidth=1.4, solid_capstyle="butt")
        panel.plot(mean, at, marker, color=colour, markersize=3.8)
        panel.plot([row.chance] * 2, (at - 0.4, at + 0.4), color=style.FAINT, linewidth=0.9, linestyle=":")
        if len(row.runs) > 1:
            panel.plot(
                [one.accuracy for one in row.runs], [at + 0.26] * len(row.runs), "o", markersize=2.6,
                markerfacecolor=style.PAPER, markeredgecolor=colour, markeredgewidth=0.6,
            )  # fmt: skip
        low, high = row.accuracy_interval
        right = high < _MAX_LEFT  # else the number is to the left of the interval
        side: dict[str, Any] = {"xytext": (4 if right else -4, 0), "ha": "left" if right else "right"}
        panel.annotate(
            f"{mean:.1%}", (high if right else low, at), va="center", fontsize=6.5, textcoords="offset points", **side
        )
    _percent_across(panel, "accuracy (WAR)")
    kinds = [kind for kind in _LOOKS if any(row.speakers_shared == kind for row in rows)]
    handles = [Line2D([], [], color=_LOOKS[kind][0], marker=_LOOKS[kind][1], markersize=4) for kind in kinds]
    words = [f"speakers shared: {SHARED[kind]}" for kind in kinds]
    _legend(panel, handles, words)


def _percent_across(panel: Axes, name: str) -> None:
    panel.set_xlim(0, 1)
    panel.set_xticks(np.linspace(0, 1, 5))
    style.percent_axis(panel, x=True)
    panel.grid(axis="x")
    panel.set_xlabel(name)
    panel.tick_params(axis="x", labelsize=6)


def _draw_speakers(panel: Axes, rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D

    for at, row in enumerate(rows):
        if row.worst_speaker is None or row.best_speaker is None:
            panel.text(0.5, at, "speakers unknown", ha="center", va="center", fontsize=6, color=style.FAINT)
            continue
        ends = row.worst_speaker.accuracy, row.best_speaker.accuracy
        panel.plot(ends, (at, at), "|-", color=style.FAINT, linewidth=0.8, markersize=6, label="_")
        for kind, (marker, colour) in _GENDERS.items():
            if kind in row.by_gender:
                panel.plot(row.by_gender[kind], at, marker, color=colour, markersize=3.4, alpha=0.9)
    _percent_across(panel, "accuracy, worst to best speaker")
    known = [kind for kind in _GENDERS if any(kind in row.by_gender for row in rows)]
    _legend(
        panel,
        [Line2D([], [], color=_GENDERS[kind][1], marker=_GENDERS[kind][0], linestyle="", ms=3.4) for kind in known],
        known,
    )


def _legend(panel: Axes, handles: Sequence[Line2D], words: Sequence[str]) -> None:
    if words:
        panel.legend(
            handles, words, loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.2, handletextpad=0.4,
            labelspacing=0.2, handlelength=1.4,
        )  # fmt: skip


def _draw_emotions(panel: Axes, rows: Sequence[Row], labels: Sequence[str]) -> None:
    means = [[row.recall[label].mean if label in row.recall else None for label in all_labels(rows)] for row in rows]
    recalls = np.array(means, dtype=np.float64)
    colours = sequential()
    edges = [np.arange(n + 1) - 0.5 for n in (len(labels), len(rows))]
    panel.pcolormesh(
        *edges, np.ma.masked_invalid(recalls), cmap=colours, vmin=0, vmax=1, edgecolors=style.PAPER, lw=0.6
    )
    panel.set_facecolor(style.BAND)
    if len(labels) <= _MAX_NUMBERS:
        words = [
            Word(x, y, "–" if np.isnan(value) else f"{value * 100:.0f}",  # noqa: RUF001
                 style.INK if np.isnan(value) else text_colour(np.array(colours(value))))
            for (y, x), value in np.ndenumerate(recalls)
        ]  # fmt: skip
        write_words(panel, words)
    panel.xaxis.tick_top()
    panel.set_xticks(range(len(labels)), labels, rotation=45, ha="left", rotation_mode="anchor")
    panel.tick_params(axis="x", length=0, labelsize=6 if len(labels) <= _MAX_NUMBERS else 4.5, pad=1)
    panel.spines[:].set_visible(False)
    panel.xaxis.set_label_position("bottom")
    panel.set_xlabel("recall per emotion, %")
