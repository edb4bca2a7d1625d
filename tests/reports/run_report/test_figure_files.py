import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from emocatcher.evaluation.run_folder import read
from emocatcher.reports.run_report import style
from emocatcher.reports.run_report.figure_files import save, stamp

WIDTHS = [style.SINGLE, style.DOUBLE]


def _drawing(width: float, name: str = "made") -> style.Drawing:
    figure, axes = style.panels(1, 1, (width, 2.4), left=0.4)
    axes[0, 0].plot([0, 1], [0, 1], "o-")
    axes[0, 0].imshow([[0, 1], [1, 0]], interpolation="none")
    return style.Drawing(name=name, title="", caption="", alt="", figure=figure)


@pytest.mark.parametrize("width", WIDTHS)
def test_source_and_marks_do_not_overlap(made_run: Callable[..., Path], tmp_path: Path, width: float) -> None:
    result = read(made_run(n_utterances=120, n_epochs=2)).result
    result = msgspec.structs.replace(result, synthetic=True, optimistic=True, selection="best-test")
    with style.paper():
        drawing = _drawing(width)
        save(drawing, result, tmp_path)
        source, mark, _ = (text.get_window_extent() for text in drawing.figure.texts)
    assert not source.overlaps(mark)
    assert min(source.x0, mark.x0) > 0
    assert max(source.x1, mark.x1) < drawing.figure.bbox.width


def test_ids_of_two_equal_figures_differ(made_run: Callable[..., Path], tmp_path: Path) -> None:
    result = read(made_run(n_utterances=120, n_epochs=2)).result
    with style.paper():
        trees = [ET.fromstring(save(_drawing(7.2, name), result, tmp_path)) for name in ("one", "two")]
    one, two = ({element.get("id") for element in tree.iter()} - {None} for tree in trees)
    assert one
    assert two
    assert not one & two


@pytest.mark.parametrize("synthetic", [False, True])
@pytest.mark.parametrize("optimistic", [False, True])
def test_marks_are_set_only_where_they_apply(made_run: Callable[..., Path], synthetic: bool, optimistic: bool) -> None:
    result = read(made_run(n_utterances=120, n_epochs=2)).result
    result = msgspec.structs.replace(result, synthetic=synthetic, optimistic=optimistic)
    with style.paper():
        figure = _drawing(style.SINGLE).figure
        stamp(figure, result)
    texts = [text.get_text() for text in figure.texts]
    assert ("SYNTHETIC" in texts) == synthetic
    assert any("SYNTHETIC corpus" in text for text in texts) == synthetic
    assert any(style.OPTIMISTIC in text for text in texts) == optimistic
