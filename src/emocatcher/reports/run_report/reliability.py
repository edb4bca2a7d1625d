"""Draw one panel of a reliability diagram: the accuracy of the answers in each confidence bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emocatcher.reports.run_report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emocatcher.evaluation.run_folder import Floats, Integers

N_BINS = 10  # bins of the diagram; the calibration error itself uses the customary 15
FEW = 10  # a bin with fewer answers gets a pale bar
LEGEND = "blue: accuracy · hatched: gap to the confidence · grey below: number of answers"
CAPTION = (
    "Blue: accuracy of the answers in each of ten confidence bins; a calibrated bin reaches the diagonal. Hatched: gap "
    f"to the mean confidence. Grey, at the bottom: number of answers per bin; pale bars have fewer than {FEW}."
)


def draw_panel(
    panel: Axes,
    confidence: Floats | Sequence[float | None],
    accuracy: Floats | Sequence[float | None],
    n_utterances: Integers | Sequence[int],
    *,
    leftmost: bool = True,
    lowest: bool = True,
) -> None:
    """Draw the confidence bins.

    Args:
        panel: the axes to draw in.
        confidence: (n_bins,), mean probability of the answers in each bin; NaN or None for an empty bin.
        accuracy: (n_bins,), share of correct answers in each bin; NaN or None for an empty bin.
        n_utterances: (n_bins,), number of answers in each bin.
        leftmost: whether to label the vertical axis.
        lowest: whether to label the horizontal axis.
    """
    sure, right = (np.array(values, dtype=np.float64) for values in (confidence, accuracy))
    counts = np.array(n_utterances)
    width = 1 / len(counts)
    at = (np.arange(len(counts)) + 0.5) * width
    for known, strength in ((counts >= FEW, 1.0), ((counts > 0) & (counts < FEW), 0.25)):
        panel.bar(
            at[known], right[known], width=width * 0.92, color="#7FA3CF", edgecolor=style.TEST, linewidth=0.5,
            alpha=strength,
        )  # fmt: skip
        panel.bar(
            at[known], (sure - right)[known], bottom=right[known], width=width * 0.92, facecolor="none",
            edgecolor=style.TRAIN, linewidth=0.5, hatch="//////", alpha=strength,
        )  # fmt: skip
    panel.bar(at, -0.2 * counts / counts.max(), width=width * 0.92, color="#A0A0A0", linewidth=0)
    panel.plot((0, 1), (0, 1), color=style.INK, linewidth=0.7, linestyle=(0, (3, 2)))
    panel.axhline(0, color=style.AXIS, linewidth=0.6)
    panel.set_xlim(0, 1)
    panel.set_ylim(-0.24, 1)
    panel.set_yticks((0, 0.5, 1))
    panel.set_xticks((0, 0.5, 1))
    style.percent_axis(panel)
    style.percent_axis(panel, x=True)
    if leftmost:
        panel.set_ylabel("accuracy", labelpad=1)
    else:
        panel.set_yticklabels([])
    if lowest:
        panel.set_xlabel("confidence")
