"""Draw confusion matrices: rows are true emotions, columns predicted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emocatcher.evaluation.run_folder import Floats, Integers, Run
from emocatcher.evaluation.scoring import metrics
from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.panel_texts import Word, write_words
from emocatcher.reports.run_report.shades import sequential, text_colour
from emocatcher.reports.run_report.tables import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MIN_CELL = 0.3  # inches; a number of three digits stays readable in it
_ZERO = "#8C8C8C"


def draw(run: Run) -> list[style.Drawing]:
    """Draw each fold; for several folds also all of them pooled, and the lowest next to the highest."""
    folds = [fold.fold for fold in run.result.folds]
    single = [_draw_counts_and_recall(run, [fold], f"Fold {fold}", f"confusion_fold_{fold}") for fold in folds]
    if len(folds) == 1:
        return single
    pooled = _draw_counts_and_recall(run, folds, f"All {len(folds)} folds pooled", "confusion_pooled")
    return [pooled, _draw_lowest_and_highest(run), *single]


def count(run: Run, folds: list[int]) -> Integers:
    """Count the predictions of some folds: shape (n_classes, n_classes), rows true, columns predicted."""
    chosen = np.isin(run.predictions.fold, folds)
    emotion, predicted = run.predictions.emotion[chosen], run.predictions.predicted[chosen]
    return metrics.confusion_matrix(emotion, predicted, len(run.result.labels))


def shares(counts: Integers) -> Floats:
    """Divide each row by its sum, so that the diagonal is recall; a row without utterances is NaN."""
    totals = counts.sum(axis=1, keepdims=True)
    of_rows: Floats = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    return of_rows


def _scores(counts: Integers) -> str:
    accuracy, uar = metrics.accuracy_score(counts), metrics.unweighted_average_recall_score(counts)
    return f"accuracy {accuracy:.2%} · UAR {uar:.2%}"


def _draw_counts_and_recall(run: Run, folds: list[int], what: str, name: str) -> style.Drawing:
    counts = count(run, folds)
    figure, (left, right) = _pair(run)
    _draw_matrix(left, counts.astype(np.float64), run.result.labels, top=float(max(counts.max(), 1)))
    _draw_matrix(right, shares(counts), run.result.labels, top=1.0, percent=True)
    left.set_title("Counts")
    right.set_title("Recall, % of each row")
    style.heading(figure, f"{what} · {_scores(counts)} · n = {counts.sum()}")
    return style.Drawing(
        name=name,
        title=f"Confusion, {what[0].lower()}{what[1:]}",
        caption="Counts and recall. Rows are true emotions, columns predicted ones.",
        alt=f"Two confusion matrices, {what[0].lower()}{what[1:]}: {_scores(counts)}. {_commonest_error(run, counts)}",
        figure=figure,
    )


def _draw_lowest_and_highest(run: Run) -> style.Drawing:
    folds = (run.result.lowest_fold, run.result.highest_fold)
    figure, axes = _pair(run)
    words = []
    for panel, fold, rank in zip(axes, folds, ("Lowest", "Highest"), strict=True):
        counts = count(run, [fold])
        _draw_matrix(panel, shares(counts), run.result.labels, top=1.0, percent=True)
        panel.set_title(f"{rank}: fold {fold} · {_scores(counts)}", fontsize=7)
        words.append(f"{rank.lower()} fold {fold}, {_scores(counts)}")
    style.heading(figure, "Lowest and highest fold · recall, % of each row")
    return style.Drawing(
        name="confusion_lowest_highest",
        title="Confusion, lowest and highest fold",
        caption="Recall in the folds of lowest and highest accuracy. Rows are true emotions, columns predicted ones.",
        alt=f"Two confusion matrices: {'; '.join(words)}.",
        figure=figure,
    )


def _commonest_error(run: Run, counts: Integers) -> str:
    errors = counts - np.diag(np.diag(counts))
    if not errors.any():
        return "No errors."
    true, predicted = np.unravel_index(int(errors.argmax()), errors.shape)
    labels = run.result.labels
    return f"Most frequent error: {labels[true]} predicted as {labels[predicted]}, {errors.max()} times."


def _margin(labels: tuple[str, ...]) -> float:
    return style.label_width([style.shorten(label) for label in labels])


def _side(labels: tuple[str, ...]) -> float:
    """Return the side of one matrix in inches: half the page, or more where the cells would be too small."""
    return max((style.DOUBLE - 2 * _margin(labels) - 0.58) / 2, len(labels) * _MIN_CELL)


def _pair(run: Run) -> tuple[Figure, list[Axes]]:
    margin = _margin(run.result.labels)
    left, gap = margin + 0.2, margin + 0.3
    side = _side(run.result.labels)
    top, bottom = 0.42, margin * 0.75 + 0.2
    size = (left + gap + 2 * side + 0.08, top + side + bottom + style.FOOTER)
    figure, axes = style.panels(1, 2, size, left=left, top=top, bottom=bottom, gaps=(gap, 0))
    return figure, list(axes[0])


def _draw_matrix(panel: Axes, values: Floats, labels: tuple[str, ...], top: float, percent: bool = False) -> None:
    shown = np.nan_to_num(values)
    colours = sequential()
    panel.pcolormesh(shown, cmap=colours, vmin=0, vmax=top, edgecolors=style.PAPER, linewidth=0.6)
    panel.set_ylim(len(labels), 0)
    panel.set_axis_off()  # labels are drawn as words, because laying out ticks would take half the time
    backgrounds = colours(shown / top)
    words = _label_words(labels)
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        text = NONE if np.isnan(value) else f"{value * 100:.0f}" if percent else f"{value:.0f}"
        colour = text_colour(backgrounds[row, column]) if shown[row, column] > 0 else _ZERO
        words.append(Word(column + 0.5, row + 0.5, text, colour, bold=row == column))
    write_words(panel, words)


def _label_words(labels: tuple[str, ...]) -> list[Word]:
    n_labels, inch = len(labels), len(labels) / _side(labels)
    names = [style.shorten(label) for label in labels]
    margin = _margin(labels) * inch
    rows = [Word(-0.05 * inch, i + 0.5, name, anchor=1.0) for i, name in enumerate(names)]
    columns = [Word(i + 0.5, n_labels + 0.1 * inch, name, anchor=1.0, angle=40) for i, name in enumerate(names)]
    return [
        *rows,
        *columns,
        Word(-margin - 0.08 * inch, n_labels / 2, "true", angle=90, colour=style.FAINT),
        Word(n_labels / 2, n_labels + 0.75 * margin + 0.12 * inch, "predicted", colour=style.FAINT),
    ]
