"""What a report has of dimensions: a sentence, a table, and a scatter plot."""

from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.evaluation import run_folder
from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report import dimension_scores, html, style, text


@pytest.fixture(scope="module")
def run(rated_run: Any) -> Run:
    return run_folder.read(rated_run.folder)


def test_sentence_and_table_have_the_coefficient_with_its_interval(run: Run) -> None:
    (found,) = run.result.dimensions
    low, high = found.concordance.interval
    table = dimension_scores.table(run.result.dimensions)
    assert table is not None
    assert table.rows[0][:4] == ("arousal", "1 to 7", "16", f"{found.concordance.mean:.3f}")
    for words in (dimension_scores.sentence(run.result.dimensions), " ".join(table.rows[0])):
        assert f"{low:.3f}\N{EN DASH}{high:.3f}" in words
    assert dimension_scores.sentence(run.result.dimensions) in text.trust_lines(run)


def test_the_figure_has_a_dot_for_each_rated_utterance_and_a_line_where_estimates_equal_ratings(run: Run) -> None:
    with style.paper():
        drawing = dimension_scores.draw(run)
    assert drawing is not None
    (panel,) = drawing.figure.axes
    line, dots = panel.lines
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    assert len(dots.get_xdata()) == 16
    assert panel.get_xlim() == panel.get_ylim() == pytest.approx((0.76, 7.24))


def test_the_page_has_a_section_of_dimensions_if_the_run_has_some(run: Run) -> None:
    page = html.render(run, [])
    assert '<h2 id="dimensions">' in page
    without = msgspec.structs.replace(run.result, dimensions=())
    plain = run_folder.Run(**{**vars(run), "result": without})
    assert "dimensions" not in html.render(plain, [])
    assert dimension_scores.table(()) is None
    with style.paper():
        assert dimension_scores.draw(plain) is None
