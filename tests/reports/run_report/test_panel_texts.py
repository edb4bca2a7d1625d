from pathlib import Path

import numpy as np
import pytest

from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.panel_texts import Word, write_words


def _ink(words: list[Word]) -> tuple[float, float, float, float]:
    """Return the extent of the ink in data coordinates of a panel from 0 to 1: left, right, bottom, top."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with style.paper():
        figure, axes = style.panels(1, 1, (2, 2 + style.FOOTER), left=0, right=0, top=0, bottom=0)
        axes[0, 0].set_axis_off()
        write_words(axes[0, 0], words)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        dark = np.asarray(canvas.buffer_rgba())[:400, :, 0] < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return columns[0] / 400, (columns[-1] + 1) / 400, 1 - (rows[-1] + 1) / 400, 1 - rows[0] / 400


@pytest.mark.parametrize("bold", [False, True])
def test_a_word_is_centred_on_its_point(bold: bool) -> None:
    left, right, bottom, top = _ink([Word(0.3, 0.6, "88", bold=bold)])
    assert (left + right) / 2 == pytest.approx(0.3, abs=0.01)
    assert (bottom + top) / 2 == pytest.approx(0.6, abs=0.01)


def test_anchor_of_one_ends_the_word_at_its_point() -> None:
    assert _ink([Word(0.7, 0.5, "angry", anchor=1.0)])[1] == pytest.approx(0.7, abs=0.01)


def test_rotated_word_ends_at_its_point_from_below() -> None:
    left, right, bottom, top = _ink([Word(0.6, 0.6, "surprised", anchor=1.0, angle=40)])
    assert right == pytest.approx(0.6, abs=0.02)
    assert top == pytest.approx(0.61, abs=0.02)
    assert left < 0.5
    assert bottom < 0.5


def test_svg_places_a_word_like_the_png(tmp_path: Path) -> None:
    import re

    with style.paper():
        figure, axes = style.panels(1, 1, (2, 2 + style.FOOTER), left=0, right=0, top=0, bottom=0)
        axes[0, 0].set_axis_off()
        write_words(axes[0, 0], [Word(0.25, 0.75, "8", anchor=0.0)])
        figure.savefig(tmp_path / "x.svg")
    match = re.search(r'x="([\d.]+)" y="([\d.]+)"[^>]*>8<', (tmp_path / "x.svg").read_text())
    assert match
    x, y = float(match[1]), float(match[2])
    assert x == pytest.approx(0.25 * 144, abs=0.5)
    assert y == pytest.approx(0.25 * 144 + 0.365 * 6.5, abs=0.5)  # the baseline, half a digit below the point
