"""Draw the points that degraded recordings cost, and write figure and numbers into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from emocatcher.evaluation.scoring.robustness import Loss, Stress
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import MissingExtraError, OutputError
from emocatcher.reports.run_report import figure_files, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEM = "stress"
_FILES = tuple(f"{_STEM}{kind}" for kind in (".svg", ".png", ".json"))
_ROW_HEIGHT = 0.24  # inches
_MINUS = "\N{MINUS SIGN}"  # as on the axis
_LEAST_RANGE = 5.0  # points, so that small losses look small


def check(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that has the files already, before anything is computed.

    Raises:
        OutputError: if a file exists and `overwrite` is false, or the path is no folder.
        MissingExtraError: if matplotlib is not installed.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"'{folder}' is a file. Name a folder with --out")
    for name in _FILES:
        if (folder / name).is_dir() or ((folder / name).exists() and not overwrite):
            raise OutputError(f"'{folder / name}' exists already. Give --overwrite to replace it, or another --out")
    try:
        import matplotlib  # noqa: F401, ICN001
    except ImportError:
        raise MissingExtraError("The figure", "train") from None


def write(stress: Stress, folder: Path, *, overwrite: bool = False) -> Path:
    """Write `stress.svg`, `stress.png` and `stress.json` into a folder; return the path of the SVG.

    Raises:
        OutputError: if a file exists and `overwrite` is false, or one cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    check(folder, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with style.paper():
            drawing = draw(stress)
            folds = f"fold {', '.join(map(str, stress.folds))}"
            words = f"{stress.corpus} · {style.shorten(stress.model, 40)} · {stress.protocol}, {folds}"
            marks = ["SYNTHETIC corpus"] * stress.synthetic + list(stress.warnings)
            figure_files.stamp_words(drawing.figure, words, marks, synthetic=stress.synthetic)
            figure_files.write(drawing, folder / _STEM)
        payload = msgspec.json.format(msgspec.json.encode(stress)) + b"\n"
        atomic_files.write_bytes(folder / f"{_STEM}.json", payload)
    except OSError as error:
        raise OutputError(f"Cannot write to '{folder}': {error.strerror or error}") from None
    return folder / f"{_STEM}.svg"


def draw(stress: Stress) -> style.Drawing:
    """Draw one row per degradation: points of accuracy and of UAR lost, each with its interval."""
    scores, names = stress.scores, list(stress.scores.losses)
    labels = [stress.titles[name] for name in names]
    height = 0.52 + 0.42 + style.FOOTER + _ROW_HEIGHT * len(names)
    left = style.label_width(labels) + 0.1
    figure, axes = style.panels(
        1, 2, (style.DOUBLE, height), left=left, right=0.3, top=0.52, bottom=0.42, gaps=(0.3, 0), sharey=True
    )
    losses = list(scores.losses.values())
    accuracy = [(loss.accuracy_lost, *loss.accuracy_lost_interval) for loss in losses]
    recall = [(loss.unweighted_average_recall_lost, *loss.unweighted_average_recall_lost_interval) for loss in losses]
    values = [100 * value for row in (*accuracy, *recall) for value in row]
    # Room on both sides for the numbers.
    low, high = min(*values, -_LEAST_RANGE), max(*values, _LEAST_RANGE)
    limits = low - 0.04 * (high - low), high + 0.14 * (high - low)
    clean = scores.accuracy, scores.unweighted_average_recall
    for panel, rows, name, whole in zip(axes[0], (accuracy, recall), ("accuracy (WAR)", "UAR"), clean, strict=True):
        _draw_losses(panel, rows)
        panel.set_xlim(limits)
        panel.set_title(f"{name}, {whole:.1%} as recorded")
        panel.set_xlabel(f"points of {name} lost")
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    axes[0, 0].set_yticks(range(len(names)), labels)
    style.heading(figure, "Degraded recordings")
    worst = max(names, key=lambda name: scores.losses[name].accuracy_lost)
    return style.Drawing(
        name=_STEM,
        title="Degraded recordings",
        caption=f"Points of accuracy and UAR lost, with {scores.level:.0%} intervals of the paired difference, by "
        f"bootstrap over {scores.resampled}. The same recordings are tested as they are and degraded.",
        alt=f"{len(names)} degradations. Most accuracy is lost by: {stress.titles[worst]}, "
        f"{_describe(scores.losses[worst])}.",
        figure=figure,
    )


def _draw_losses(panel: Axes, rows: list[tuple[float, float, float]]) -> None:
    panel.axvline(0, color=style.FAINT, linewidth=0.8)
    panel.grid(axis="x")
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    for at, row in enumerate(rows):
        lost, low, high = (100 * value for value in row)
        colour = style.MARK if low > 0 else style.TEST if high < 0 else style.FAINT
        panel.plot((low, high), (at, at), color=colour, linewidth=1.4, solid_capstyle="butt")
        panel.plot(lost, at, "o", color=colour, markersize=3.8)
        panel.annotate(
            f"{lost:.1f}".replace("-", _MINUS),
            (high, at),
            (4, 0),
            textcoords="offset points",
            va="center",
            ha="left",
            fontsize=6.5,
        )


def _describe(loss: Loss) -> str:
    return f"{100 * loss.accuracy_lost:.1f} points"
