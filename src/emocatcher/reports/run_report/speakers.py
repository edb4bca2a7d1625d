"""Score each speaker with an interval, as a table and as a figure, from the lowest accuracy to the highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.evaluation.scoring.intervals import wilson_interval
from emocatcher.reports.run_report import chance, style
from emocatcher.reports.run_report.tables import NONE, Table, interval, percent

_MARKERS = {"female": ("o", style.MARK), "male": ("s", style.TEST)}
_MAX_NAMES = 30  # names that fit below the axis


@dataclass(frozen=True)
class Score:
    """The accuracy on one speaker's test utterances, with its 95% interval by Wilson's formula."""

    name: str
    gender: str  # "" where unknown
    n_utterances: int
    accuracy: float
    interval: tuple[float, float]


def score(run: Run) -> list[Score]:
    """Score each known speaker over all folds, from the lowest accuracy to the highest."""
    predictions, found = run.predictions, []
    for name in np.unique(predictions.speaker):
        if name:
            correct = predictions.correct[predictions.speaker == name]
            n_right, n_all = int(correct.sum()), int(correct.size)
            gender = str(predictions.gender[predictions.speaker == name][0])
            found.append(Score(str(name), gender, n_all, n_right / n_all, wilson_interval(n_right, n_all)))
    return sorted(found, key=lambda one: (one.accuracy, one.name))


def table(run: Run) -> Table | None:
    """Tabulate the accuracy of each speaker; None if fewer than two are known."""
    scores = score(run)
    if len(scores) < 2:
        return None
    return Table(
        caption="Accuracy per speaker, in percent, from the lowest to the highest, with 95% Wilson intervals.",
        header=("speaker", "gender", "test utterances", "accuracy", "95% interval"),
        rows=tuple(
            (one.name, one.gender or NONE, f"{one.n_utterances}", percent(one.accuracy), interval(one.interval))
            for one in scores
        ),
    )


def draw(run: Run) -> style.Drawing | None:
    """Draw accuracy per speaker over the test utterances of all folds; None if fewer than two speakers are known."""
    scores = score(run)
    if len(scores) < 2:
        return None
    worst, best = scores[0], scores[-1]
    figure, axes = style.panels(1, 1, (style.SINGLE, 2.35), left=0.42, right=0.12, top=0.33, bottom=0.38)
    panel = axes[0, 0]
    for kind in sorted({one.gender for one in scores}):
        chosen = [(at, one) for at, one in enumerate(scores) if one.gender == kind]
        marker, colour = _MARKERS.get(kind, ("D", style.FAINT))
        at = [place for place, _ in chosen]
        low, high = zip(*(one.interval for _, one in chosen), strict=True)
        panel.vlines(at, low, high, color=colour, linewidth=0.8, alpha=0.6)
        accuracy = [one.accuracy for _, one in chosen]
        panel.plot(at, accuracy, marker, markersize=3.2, color=colour, label=kind or "gender unknown")
    overall = float(run.predictions.correct.mean())
    panel.axhline(overall, color=style.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
    chance.mark(panel, chance.level(run).accuracy, across=True)
    note: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6.5, "bbox": {"color": style.PAPER, "pad": 0.6}}
    panel.annotate(
        f"{style.shorten(worst.name, 12)}: {worst.accuracy:.1%}", (0, worst.interval[1]), (-2, 4), ha="left", **note
    )
    panel.annotate(
        f"{style.shorten(best.name, 12)}: {best.accuracy:.1%}",
        (len(scores) - 1, best.interval[1]), (3, 3), ha="right", **note,
    )  # fmt: skip
    panel.set_ylim(0, 1.08)
    panel.set_yticks(np.linspace(0, 1, 6))
    panel.set_xlim(-0.8, len(scores) - 0.2)
    names = [one.name for one in scores]
    panel.set_xticks([])
    if len(names) <= _MAX_NAMES:
        panel.set_xticks(range(len(names)), [style.shorten(name, 6) for name in names])
    panel.tick_params(axis="x", labelsize=5, length=0, labelrotation=90 if max(map(len, names)) > 2 else 0)
    fewest, most = min(one.n_utterances for one in scores), max(one.n_utterances for one in scores)
    each = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    panel.set_xlabel(f"speaker, by accuracy; n = {each} utterances each")
    style.percent_axis(panel)
    if any(one.gender for one in scores):
        panel.legend(loc="lower right", ncols=2, handletextpad=0.1, columnspacing=0.8)
    style.heading(figure, f"Accuracy per speaker, {len(scores)} speakers")
    return style.Drawing(
        name="speakers",
        title="Accuracy per speaker",
        caption=(
            f"Accuracy on each speaker's test utterances ({each} of each), with 95% Wilson intervals; lowest "
            f"{worst.name}, highest {best.name}. Dashed: overall. Dotted: chance."
        ),
        alt=(
            f"Dot plot of {len(scores)} speakers sorted by accuracy, from {worst.accuracy:.1%} (speaker {worst.name}) "
            f"to {best.accuracy:.1%} (speaker {best.name}); overall {overall:.1%}."
        ),
        figure=figure,
    )
