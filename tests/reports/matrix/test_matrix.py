"""The matrix of runs: cells, means, tables and figure."""

import msgspec
import pytest

from emocatcher.evaluation import run_folder
from emocatcher.foundation.errors import OutputError
from emocatcher.reports import comparison, matrix
from emocatcher.reports.matrix import tables
from emocatcher.reports.run_report import between, heat_map, style


@pytest.fixture(scope="module")
def run(across):
    return run_folder.read(across.folder)


@pytest.fixture(scope="module")
def single(small_run):
    return run_folder.read(small_run.folder)


def test_a_run_between_corpora_gives_a_cell_for_each_fold(run):
    found = matrix.tabulate([run])
    assert (found.rows, found.columns) == (("all others",), ("with-calm", "lacking", "larger"))
    for cell, fold in zip(found.cells, run.result.folds, strict=True):
        assert cell.unweighted_average_recall == fold.selected.unweighted_average_recall
        assert cell.interval == fold.selected.unweighted_average_recall_interval
        assert cell.chance == pytest.approx(1 / len(cell.classes))
    assert found.means["all others"] == pytest.approx(run.result.over_corpora.unweighted_average_recall)
    assert found.synthetic


def test_pairs_are_rows_and_columns_in_the_order_of_the_corpora(run, single):
    def pair(fold, trained, tested):
        sides = msgspec.structs.replace(fold.between, trained_on=(trained,), tested_on=(tested,))
        return msgspec.structs.replace(fold, between=sides)

    first, second, third = run.result.folds
    folds = pair(first, "a", "b"), pair(second, "b", "a"), pair(third, "b", "c")
    result = msgspec.structs.replace(run.result, protocol="cross-corpus", folds=folds)
    pairs = type(run)(**{**vars(run), "result": result})
    own = type(run)(**{**vars(single), "result": msgspec.structs.replace(single.result, corpus="b")})
    found = matrix.tabulate([run, pairs, own])
    assert found.columns[-3:] == ("a", "b", "c")
    assert found.rows == ("a", "b", "all others")
    assert found.cell("a", "a") is None
    within = found.cell("b", "b")
    assert within.is_within
    # The diagonal is not part of a row's mean, in which both other corpora count equally.
    assert found.means["b"] == pytest.approx(
        (second.selected.unweighted_average_recall + third.selected.unweighted_average_recall) / 2
    )
    assert within.chance == pytest.approx(1 / len(within.classes))
    grid = tables.grid(found)
    assert grid.rows[0][0] == "a"
    assert grid.rows[0][grid.header.index("a")] == "–"  # noqa: RUF001
    assert len({len(row) for row in (grid.header, *grid.rows)}) == 1


def test_two_runs_for_one_place_get_rows_of_their_own(run):
    other = type(run)(**{**vars(run), "name": "other"})
    assert matrix.tabulate([run, other]).rows == ("all others (across)", "all others (other)")


def test_the_colour_is_the_distance_from_chance(run):
    cell = msgspec.structs.replace(between.of_run(run)[0], chance=0.25)
    for score, distance in ((0.1, 0.0), (0.25, 0.0), (0.625, 0.5), (1.0, 1.0)):
        assert heat_map.above_chance(msgspec.structs.replace(cell, unweighted_average_recall=score)) == distance


def test_no_text_leaves_the_figure(run, single):
    with style.paper():
        drawing = heat_map.draw(matrix.tabulate([run, single])).figure
        drawing.canvas.draw()
        width, height = drawing.bbox.size
        for text in drawing.findobj(lambda one: hasattr(one, "get_text")):
            if text.get_text():
                box = text.get_window_extent()
                assert -1 <= box.x0 <= box.x1 <= width + 1, text
                assert -1 <= box.y0 <= box.y1 <= height + 1, text


def test_the_page_is_self_contained_and_the_same_every_time(run, tmp_path):
    found = matrix.tabulate([run])
    page = matrix.write(found, tmp_path / "m.html", [run])
    text = page.read_text()
    assert "http" not in text.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert {path.name for path in tmp_path.iterdir()} == {"m.html", "m-figure.svg", "m-figure.png"}
    with pytest.raises(OutputError, match="exists already"):
        matrix.write(found, page, [run])
    matrix.write(found, page, [run], overwrite=True)
    assert page.read_text() == text


def test_a_comparison_shows_each_corpus_and_their_mean(across, small_run):
    from emocatcher.reports.comparison import tables as compared

    found = comparison.compare([across.folder, small_run.folder])
    table = compared.corpora(found.rows)
    assert table.header == ("", "with-calm", "lacking", "larger", "mean")
    assert len(table.rows) == 1
    row = next(row for row in found.rows if row.cells)
    over = run_folder.read(across.folder).result.over_corpora
    assert row.unweighted_average_recall_interval == pytest.approx(over.unweighted_average_recall_interval)
    assert row.chance_of_recall == pytest.approx(over.chance)
    assert compared.corpora([row for row in found.rows if not row.cells]) is None
