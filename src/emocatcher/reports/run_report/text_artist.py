"""Draw many short texts at once, such as the numbers of a matrix."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emocatcher.evaluation.run_folder import Floats
from emocatcher.reports.run_report.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.textpath import TextPath

_SIZE = 6.5  # points
_HALF_DIGIT = 0.365 * _SIZE  # the same for all words, so that words in one row share a baseline


class Word(NamedTuple):
    """A short text at a point of a panel, in data coordinates, vertically centred on it."""

    x: float
    y: float
    text: str
    colour: str = INK
    bold: bool = False
    anchor: float = 0.5  # fraction of the text's width left of the point
    angle: float = 0.0  # degrees, counter-clockwise about the point


def write_words(panel: Axes, words: list[Word]) -> None:
    """Write many short texts as one artist: text in an SVG, outlines in pixels.

    One `Text` artist per word, laid out and drawn glyph by glyph, would take most of a report's time.
    """
    from matplotlib.artist import Artist
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.collections import PathCollection
    from matplotlib.colors import to_rgba
    from matplotlib.font_manager import FontProperties
    from matplotlib.transforms import Affine2D, IdentityTransform

    outlines = []
    for word in words:
        path, width = _outline(word.text, word.bold)
        shift = Affine2D().translate(-word.anchor * width, -_HALF_DIGIT).rotate_deg(word.angle)
        outlines.append(shift.transform_path(path))

    class Words(Artist):  # defined here because matplotlib is imported late
        def draw(self, renderer: RendererBase) -> None:
            points = panel.transData.transform([(word.x, word.y) for word in words])
            if not isinstance(renderer, RendererAgg):
                self._draw_text(renderer, points)
                return
            pixels = PathCollection(
                outlines,
                offsets=points,
                offset_transform=IdentityTransform(),
                facecolors=[word.colour for word in words],
                linewidths=0,
            )
            pixels.set_transform(Affine2D().scale(renderer.dpi / 72))
            pixels.set_figure(panel.figure)
            pixels.draw(renderer)

        def _draw_text(self, renderer: RendererBase, points: Floats) -> None:
            height = float(panel.figure.bbox.height)
            gc = renderer.new_gc()
            for word, (x, y) in zip(words, points, strict=True):
                sine, cosine = np.sin(np.deg2rad(word.angle)), np.cos(np.deg2rad(word.angle))
                back = word.anchor * _outline(word.text, word.bold)[1]
                left = x - back * cosine + _HALF_DIGIT * sine
                baseline = height - y + back * sine + _HALF_DIGIT * cosine
                font = FontProperties(size=_SIZE, weight="bold" if word.bold else "normal")
                gc.set_foreground(to_rgba(word.colour), isRGBA=True)
                renderer.draw_text(gc, left, baseline, word.text, font, word.angle)
            gc.restore()

    panel.add_artist(Words()).set_zorder(3)


@cache
def _outline(text: str, bold: bool) -> tuple[TextPath, float]:
    """Return a text's outline in points, with its left end at the origin, and its width in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), text, size=_SIZE, prop=FontProperties(weight="bold" if bold else "normal"))
    return path, float(path.get_extents().x1) if len(path.vertices) else 0.0
