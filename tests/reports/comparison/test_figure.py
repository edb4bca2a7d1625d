"""Both figures show every row, and no text overflows the figure or overlaps another."""

from pathlib import Path

import pytest

from emocatcher.reports.comparison import compare, figure, reliability
from emocatcher.reports.run_report import style

Several = dict[str, Path]


def _texts(drawn):
    from matplotlib.text import Text

    drawn.canvas.draw()
    renderer = drawn.canvas.get_renderer()
    shown = [text for text in drawn.findobj(Text) if text.get_text().strip() and text.get_visible()]
    return [(text, text.get_window_extent(renderer)) for text in shown if text.get_text() != "SYNTHETIC"]


@pytest.mark.parametrize("draw", [figure.draw, reliability.draw])
@pytest.mark.parametrize("names", [("apart",), ("shared-s0", "shared-s1", "other", "apart", "made", "odd"), ("made",)])
def test_no_text_overflows_or_overlaps(several: Several, draw, names: tuple[str, ...]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    rows = compare([several[name] for name in names]).rows
    with style.paper():
        drawing = draw(rows)
        FigureCanvasAgg(drawing.figure)
        width, height = drawing.figure.bbox.size
        texts = _texts(drawing.figure)
        for text, box in texts:
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= width, text
            assert box.y1 <= height, text
        upright = [
            (text.get_text(), box) for text, box in texts if text.get_rotation() != 45
        ]  # the box of rotated text is larger than its ink
        for i, (words, box) in enumerate(upright):
            assert not [other for other, place in upright[i + 1 :] if box.overlaps(place)], words


def test_rows_keep_their_order_and_shared_speakers_have_another_marker(several: Several) -> None:
    rows = compare(list(several.values())).rows
    with style.paper():
        drawing = figure.draw(rows)
    accuracy, _, emotions = drawing.figure.axes
    names = [label.get_text().partition("\n")[0] for label in accuracy.get_yticklabels()]
    assert names == [style.shorten(row.name, 24) for row in rows]
    looks = {row.speakers_shared: figure._LOOKS[row.speakers_shared] for row in rows}
    assert len(set(looks.values())) == 3
    assert emotions.collections[0].get_array().shape == (len(rows), 9)
    assert all(row.name in drawing.alt for row in rows)
    dotted = [line.get_xdata()[0] for line in accuracy.get_lines() if line.get_linestyle() == ":"]
    assert dotted == [row.chance for row in rows]


def test_bars_of_the_reliability_diagram_show_the_accuracy_of_the_bins(several: Several) -> None:
    rows = compare([several["shared-s0"]]).rows
    with style.paper():
        drawing = reliability.draw(rows)
    panel = drawing.figure.axes[0]
    heights = [
        bar.get_height()
        for bar in panel.patches
        if bar.get_facecolor()[:3] == pytest.approx((0.498, 0.639, 0.812), abs=0.01)
    ]
    known = [value for value in rows[0].reliability.accuracy if value is not None]
    assert sorted(heights) == pytest.approx(sorted(known))
    assert "ECE" in panel.get_title(loc="left")
