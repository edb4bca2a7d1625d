"""Draw many short texts, such as the numbers of a matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from emocatcher.reports.run_report.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 6.5  # points
_HALF_DIGIT = 0.365 * _SIZE  # points; the same for all words, so that words in one row share a baseline
_ALIGNMENTS = {0.0: "left", 0.5: "center", 1.0: "right"}


class Word(NamedTuple):
    """A short text at a point of a panel, in data coordinates, vertically centred on it."""

    x: float
    y: float
    text: str
    colour: str = INK
    bold: bool = False
    anchor: float = 0.5  # fraction of the text's width left of the point: 0, 0.5 or 1
    angle: float = 0.0  # degrees, counter-clockwise about the point


def write_words(panel: Axes, words: list[Word]) -> None:
    """Write short texts into a panel."""
    for word in words:
        angle = math.radians(word.angle)
        panel.annotate(
            word.text,
            (word.x, word.y),
            xytext=(_HALF_DIGIT * math.sin(angle), -_HALF_DIGIT * math.cos(angle)),
            textcoords="offset points",
            color=word.colour,
            fontsize=_SIZE,
            fontweight="bold" if word.bold else "normal",
            ha=_ALIGNMENTS[word.anchor],
            va="baseline",
            rotation=word.angle,
            rotation_mode="anchor",
            annotation_clip=False,
        )
