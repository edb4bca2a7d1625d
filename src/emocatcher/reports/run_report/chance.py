"""The chance level: the scores of guessing, below which a model has learnt nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Chance(NamedTuple):
    """The highest expected scores of an answer that does not depend on the recording."""

    accuracy: float  # of always answering the most frequent emotion of the test part
    recall: float  # unweighted average, of any such answer


def level(run: Run) -> Chance:
    """Return the chance level for a run's test utterances, over all folds."""
    counts = np.bincount(run.predictions.emotion, minlength=len(run.result.labels))
    over = run.result.over_corpora  # whose folds have different classes
    return Chance(float(counts.max() / counts.sum()), over.chance if over else 1.0 / int((counts > 0).sum()))


def sentence(run: Run) -> str:
    """Describe the chance level in one sentence."""
    found = level(run)
    return (
        f"Chance level: accuracy {found.accuracy:.2%}, of always answering the most frequent emotion of the test "
        f"part; UAR {found.recall:.2%}, of any guess."
    )


def mark(panel: Axes, value: float, *, across: bool) -> None:
    """Draw a chance level as a dotted line with its name.

    Args:
        panel: the axes.
        value: the score of guessing.
        across: whether the line is horizontal.
    """
    looks: dict[str, Any] = {"color": style.FAINT, "linewidth": 0.9, "linestyle": (0, (1, 1.5)), "label": "_chance"}
    words: dict[str, Any] = {"color": style.FAINT, "fontsize": 6, "zorder": 4}
    name = f"chance {value:.1%}"
    if across:
        panel.axhline(value, **looks)
        panel.annotate(
            name, (0, value), (2, -2), xycoords=panel.get_yaxis_transform(), textcoords="offset points",
            ha="left", va="top", **words,
        )  # fmt: skip
    else:
        panel.axvline(value, **looks)
        panel.annotate(
            name, (value, 1), (0, 1.5), xycoords=panel.get_xaxis_transform(), textcoords="offset points",
            ha="center", va="bottom", **words,
        )  # fmt: skip
