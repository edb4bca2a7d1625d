"""Draw the accuracy of each speaker, from the lowest to the highest."""

from __future__ import annotations

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report import style

_MARKERS = {"female": ("o", style.MARK), "male": ("s", style.TEST)}
_MAX_NAMES = 30  # names that fit below the axis


def draw(run: Run) -> style.Drawing | None:
    """Draw accuracy per speaker over the test utterances of all folds; None if fewer than two speakers are known."""
    predictions = run.predictions
    names = [str(name) for name in np.unique(predictions.speaker) if name]
    if len(names) < 2:
        return None
    of = {name: predictions.speaker == name for name in names}
    accuracy = {name: float(predictions.correct[of[name]].mean()) for name in names}
    names.sort(key=lambda name: (accuracy[name], name))
    gender = {name: str(predictions.gender[of[name]][0]) for name in names}
    worst, best = names[0], names[-1]

    figure, axes = style.panels(1, 1, (style.SINGLE, 2.35), left=0.42, right=0.12, top=0.33, bottom=0.38)
    panel = axes[0, 0]
    values = np.array([accuracy[name] for name in names])
    at = np.arange(len(names))
    panel.vlines(at, 0, values, color=style.GRID, linewidth=0.8)
    for kind in sorted(set(gender.values())):
        chosen = np.array([gender[name] == kind for name in names])
        marker, colour = _MARKERS.get(kind, ("D", style.FAINT))
        panel.plot(at[chosen], values[chosen], marker, markersize=3.2, color=colour, label=kind or "gender unknown")
    overall = float(predictions.correct.mean())
    panel.axhline(overall, color=style.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
    at_worst, at_best = (0, values[0]), (at[-1], values[-1])
    note = {"textcoords": "offset points", "fontsize": 6.5, "bbox": {"color": "white", "pad": 0.6}}
    panel.annotate(f"{style.shorten(worst, 12)}: {values[0]:.1%}", at_worst, (-2, -9), ha="left", **note)
    panel.annotate(f"{style.shorten(best, 12)}: {values[-1]:.1%}", at_best, (3, 5), ha="right", **note)
    panel.set_ylim(0, 1.08)
    panel.set_yticks(np.linspace(0, 1, 6))
    panel.set_xlim(-0.8, len(names) - 0.2)
    if len(names) <= _MAX_NAMES:
        panel.set_xticks(at, [style.shorten(name, 6) for name in names])
    else:
        panel.set_xticks([])
    panel.tick_params(axis="x", labelsize=5, length=0, labelrotation=90 if max(map(len, names)) > 2 else 0)
    panel.set_xlabel("speaker, by accuracy")
    style.percent_axis(panel)
    if set(gender.values()) != {""}:
        panel.legend(loc="lower right", ncols=2, handletextpad=0.1, columnspacing=0.8)
    style.heading(figure, f"Accuracy per speaker, {len(names)} speakers")
    return style.Drawing(
        name="speakers",
        title="Accuracy per speaker",
        caption=f"Accuracy on each speaker's test utterances; lowest {worst}, highest {best}. Dashed: overall.",
        alt=(
            f"Dot plot of {len(names)} speakers sorted by accuracy, from {accuracy[worst]:.1%} (speaker {worst}) "
            f"to {accuracy[best]:.1%} (speaker {best}); overall {overall:.1%}."
        ),
        figure=figure,
    )
