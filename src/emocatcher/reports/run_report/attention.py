"""Draw where in time the model attends, one panel per emotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emocatcher.evaluation.run_folder import Floats, Integers, Run
from emocatcher.foundation.labels import colours
from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.shades import sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_N_POINTS = 96  # points of relative time
_N_COLUMNS = 4
_SHORT_NAME = 10  # letters; a longer name takes a line of its own in the panel's title
_TIMES = "\N{MULTIPLICATION SIGN}"
_PANEL_HEIGHT, _ROW_GAP = 1.45, 0.42  # inches
_ROWS_PART = 0.6  # the heat map's fraction of the panel's height; the mean curve is above it


def draw(run: Run) -> style.Drawing:
    """Draw the first fold: per emotion, the mean curve above a heat map with one row per test utterance."""
    evidence, labels = run.evidence, run.result.labels
    emotion = _emotions(run)
    lengths_s = np.array([weights.size for weights in evidence.attention]) * evidence.attention_period_s
    attention = np.stack([resample(weights, _N_POINTS) for weights in evidence.attention])
    top = float(np.quantile(attention, 0.995))  # so that a few spikes do not make all other values look pale
    means = [attention[emotion == index].mean(axis=0) for index in range(len(labels)) if (emotion == index).any()]
    curve_top = 1.15 * max(2.0, *(float(mean.max()) for mean in means))

    n_columns = min(_N_COLUMNS, len(labels))
    n_rows = -(-len(labels) // n_columns)
    height = n_rows * _PANEL_HEIGHT + (n_rows - 1) * _ROW_GAP + 0.45 + 0.3 + style.FOOTER
    figure, axes = style.panels(
        n_rows, n_columns, (style.DOUBLE, height), left=0.38, right=0.66, top=0.45, bottom=0.3, gaps=(0.26, _ROW_GAP)
    )
    images = []
    for index, label in enumerate(labels):
        panel = axes.flat[index]
        mine = np.flatnonzero(emotion == index)
        mine = mine[np.argsort(lengths_s[mine], kind="stable")]
        title = f"{style.shorten(label)}{'  ' if len(label) <= _SHORT_NAME else chr(10)}n = {mine.size}"
        if mine.size:
            images.append(_draw_panel(panel, attention[mine], top, curve_top, colours(labels)[label]))
            title += f", {np.median(lengths_s[mine]):.1f} s"
        else:
            panel.text(0.5, 0.5, "no test utterance", transform=panel.transAxes, ha="center", color=style.FAINT)
        panel.set_title(title, fontsize=7, linespacing=1.1)
        _label_axes(panel, index, n_columns, len(labels))
    for panel in axes.flat[len(labels) :]:
        panel.set_axis_off()
    bar = figure.colorbar(images[0], cax=figure.add_axes((1 - 0.52 / style.DOUBLE, 0.3, 0.08 / style.DOUBLE, 0.4)))
    bar.set_label(f"attention, {_TIMES} uniform", labelpad=4)
    bar.outline.set_visible(False)
    style.heading(figure, f"Attention over the voiced span, fold {evidence.fold}, {len(emotion)} test utterances")
    return style.Drawing(
        name="attention",
        title="Attention over time",
        caption=(
            f"Attention over the test utterances of fold {evidence.fold}, by true emotion. Heat maps: one row per "
            "utterance, the shortest on top, from the start to the end of its voiced span. Curves: mean and "
            f"interquartile range. 1 {_TIMES} is uniform attention (dashed). Titles give the number of utterances and "
            "their median voiced length."
        ),
        alt=_describe(run, labels, emotion, attention),
        figure=figure,
    )


def resample(weights: Floats, n_points: int) -> Floats:
    """Resample one utterance's attention to relative time.

    Args:
        weights: shape (n_steps,), sums to 1.
        n_points: points between the start and the end of the utterance.

    Returns:
        shape (n_points,): attention relative to uniform attention (1.0), comparable between utterances of all lengths.

    Examples:
        >>> resample(np.full(7, 1 / 7), 3)
        array([1., 1., 1.])
    """
    steps = (np.arange(weights.size) + 0.5) / weights.size
    points = (np.arange(n_points) + 0.5) / n_points
    return np.asarray(np.interp(points, steps, weights * weights.size), dtype=np.float64)


def _emotions(run: Run) -> Integers:
    """Return the true emotion of every utterance in the evidence."""
    here = run.predictions.fold == run.evidence.fold
    emotions = dict(zip(run.predictions.utterance[here], run.predictions.emotion[here], strict=True))
    return np.array([emotions[utterance] for utterance in run.evidence.utterances], dtype=np.int64)


def _draw_panel(panel: Axes, attention: Floats, top: float, curve_top: float, colour: str) -> AxesImage:
    # One axes holds both, the heat map in 0.._ROWS_PART and the scaled curve above it: half as many axes draw faster.
    image = panel.imshow(
        attention, cmap=sequential(), vmin=0, vmax=top, aspect="auto", interpolation="none",
        extent=(0, 1, 0, _ROWS_PART),
    )  # fmt: skip
    time = (np.arange(_N_POINTS) + 0.5) / _N_POINTS

    def lift(values: Floats | float) -> Floats:
        return np.asarray(_ROWS_PART + 0.03 + (0.97 - _ROWS_PART) * np.asarray(values) / curve_top)

    low, middle, high = (
        lift(np.quantile(attention, 0.25, axis=0)),
        lift(attention.mean(axis=0)),
        lift(np.quantile(attention, 0.75, axis=0)),
    )
    panel.fill_between(time, low, np.minimum(high, 1.0), color=colour, alpha=0.3, linewidth=0)
    panel.plot(time, middle, color=style.EDGE, linewidth=2.0, solid_capstyle="butt")
    panel.plot(time, middle, color=colour, linewidth=1.3, solid_capstyle="butt")
    panel.axhline(float(lift(1.0)), color=style.FAINT, linewidth=0.5, linestyle=(0, (3, 2)), zorder=1)
    ticks = [0, 1, 2] if curve_top < 4 else [0, int(curve_top)]
    panel.set_yticks([float(lift(tick)) for tick in ticks], [f"{tick} {_TIMES}" if tick else "0" for tick in ticks])
    return image


def _label_axes(panel: Axes, index: int, n_columns: int, n_labels: int) -> None:
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    panel.spines["left"].set_visible(False)
    panel.tick_params(length=1.5, pad=1.5)
    if index % n_columns:
        panel.set_yticks([])
    if index + n_columns < n_labels:
        panel.set_xticks([])
    else:
        panel.set_xticks([0, 0.5, 1], ["0", "50", "100%"])
        panel.set_xlabel("time in the voiced span")


def _describe(run: Run, labels: tuple[str, ...], emotion: Integers, attention: Floats) -> str:
    peaks = [
        f"{label} {(int(attention[emotion == index].mean(axis=0).argmax()) + 0.5) / _N_POINTS:.0%}"
        for index, label in enumerate(labels)
        if (emotion == index).any()
    ]
    return (
        f"Heat maps of attention over relative time, one per emotion, fold {run.evidence.fold}. "
        f"Position of the mean's peak in the voiced span: {', '.join(peaks)}."
    )
