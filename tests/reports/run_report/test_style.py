import warnings

import matplotlib as mpl
import pytest

from emocatcher.reports.run_report import style


def test_user_settings_are_ignored_and_restored() -> None:
    with mpl.rc_context({"font.size": 31.0, "axes.grid": True}):
        before = dict(mpl.rcParams)
        with style.paper():
            assert mpl.rcParams["font.size"] == 7
            assert not mpl.rcParams["axes.grid"]
        assert dict(mpl.rcParams) == before


def test_user_settings_are_restored_after_an_error() -> None:
    before = dict(mpl.rcParams)
    with pytest.raises(RuntimeError, match="inside"), style.paper():
        raise RuntimeError("inside")
    assert dict(mpl.rcParams) == before


def test_panels_are_placed_at_the_given_inches() -> None:
    figure, axes = style.panels(2, 3, (7.2, 4), left=0.5, right=0.2, top=0.3, bottom=0.4, gaps=(0.25, 0.35))
    assert axes.shape == (2, 3)
    first, right, below = (axes[at].get_position() for at in ((0, 0), (0, 1), (1, 0)))
    last = axes[1, 2].get_position()
    assert first.x0 * 7.2 == pytest.approx(0.5)
    assert (right.x0 - first.x1) * 7.2 == pytest.approx(0.25)
    assert (first.y0 - below.y1) * 4 == pytest.approx(0.35)
    assert (1 - last.x1) * 7.2 == pytest.approx(0.2)
    assert last.y0 * 4 == pytest.approx(0.4 + style.FOOTER)
    assert tuple(figure.get_size_inches()) == (7.2, 4)


def test_shorten_keeps_short_labels_and_ends_long_ones_with_an_ellipsis() -> None:
    assert style.shorten("sad") == "sad"
    assert style.shorten("a\nb") == "a b"
    assert len(style.shorten("x" * 99)) == 18
    assert style.shorten("x" * 99).endswith("…")


def test_label_width_is_at_least_the_drawn_width() -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    for label in ("surprised", "pleasantly surprised", "MMMM", "fearful", "illicit"):
        width = TextPath((0, 0), label, size=6.5, prop=FontProperties()).get_extents().width / 72
        assert style.label_width([label]) >= width


def test_letters_missing_from_the_layout_font_do_not_warn() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with style.paper():
            figure, axes = style.panels(1, 1, (2, 2), left=0.3)
            axes[0, 0].set_title("기쁨")
            FigureCanvasAgg(figure).draw()
    assert [str(one.message) for one in found] == []
