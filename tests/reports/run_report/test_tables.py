import math
from collections.abc import Callable
from pathlib import Path

import pytest

from emocatcher.evaluation.run_folder import Run, read
from emocatcher.reports.run_report import tables
from emocatcher.reports.run_report.tables import Table

TABLES = [
    tables.selected,
    tables.training,
    tables.recall,
    tables.data,
    lambda run: tables.epochs(run, "accuracy"),
    lambda run: tables.epochs(run, "unweighted_average_recall"),
]


@pytest.mark.parametrize("n_folds", [1, 3])
@pytest.mark.parametrize("tabulate", TABLES)
def test_all_rows_have_the_length_of_the_header(
    made_run: Callable[..., Path], tabulate: Callable[[Run], Table], n_folds: int
) -> None:
    table = tabulate(read(made_run(n_folds=n_folds, n_utterances=240, n_epochs=12)))
    assert table.rows
    assert all(len(row) == len(table.header) for row in table.rows)
    assert all(isinstance(cell, str) for row in table.rows for cell in row)


def test_nan_is_shown_as_a_dash() -> None:
    assert tables.percent(math.nan) == tables.NONE
    assert tables.plus_minus(math.nan, math.nan) == tables.NONE
    assert tables.plus_minus(0.5, math.nan) == "50.00"


def test_selected_has_a_row_per_fold_and_a_summary(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=3, n_utterances=240, n_epochs=12))
    table = tables.selected(run)
    assert len(table.rows) == 3 + table.n_summary
    for row, fold in zip(table.rows, run.result.folds, strict=False):
        assert row[3] == f"{fold.selected.accuracy * 100:.2f}"
        assert row[5] == f"{fold.selected.unweighted_average_recall * 100:.2f}"
    assert table.rows[run.result.lowest_fold][0].endswith("(lowest)")
    assert table.rows[run.result.highest_fold][0].endswith("(highest)")
    mean, std = run.result.mean.selected, run.result.std.selected
    assert table.rows[3][3] == f"{mean.accuracy * 100:.2f} ± {std.accuracy * 100:.2f}"
    assert "selection: last" in table.caption


def test_one_fold_has_no_summary_rows(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=2))
    assert [row[0] for row in tables.selected(run).rows] == ["fold 0"]
    assert tables.selected(run).n_summary == tables.epochs(run, "accuracy").n_summary == 0


def test_best_epoch_on_test_is_labelled_optimistic(made_run: Callable[..., Path]) -> None:
    last = read(made_run("last", n_utterances=120, n_epochs=2))
    best = read(made_run("best", n_utterances=120, n_epochs=2, selection="best-test"))
    assert "optimistic" in tables.epochs(last, "accuracy").header[3]
    assert "optimistic" not in tables.selected(last).caption
    assert "optimistic" in tables.selected(best).caption


def test_data_counts_add_up_to_the_totals(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=2, n_utterances=240, n_epochs=2, with_valid=True))
    table = tables.data(run)
    assert table.header == ("emotion", "train", "valid", "test", "total")
    *emotions, total, speakers = [[int(cell) for cell in row[1:]] for row in table.rows]
    assert [sum(column) for column in zip(*emotions, strict=True)] == total
    assert total[-1] == run.result.n_utterances
    assert total[2] == run.result.folds[0].n_test
    assert speakers[-1] == run.result.n_speakers


def test_folds_are_compared_with_the_published_folds(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=5, n_utterances=240, n_epochs=120, protocol="reference-cv5"))
    table = tables.compare_published(run)
    assert table is not None
    assert [row[1] for row in table.rows] == ["84.38", "80.90", "85.76", "87.50", "82.29", "84.17 ± 2.36"]
    assert [row[3] for row in table.rows] == ["82.29", "76.39", "82.99", "85.76", "81.94", "81.87"]
    assert [row[4] for row in table.rows[:5]] == [f"{fold.accuracy.last * 100:.2f}" for fold in run.result.folds]
    assert table.caption.endswith("and this run, both trained for 120 epochs.")


def test_holdout_is_compared_with_the_published_holdout(made_run: Callable[..., Path]) -> None:
    table = tables.compare_published(read(made_run(n_utterances=240, n_epochs=12)))
    assert table is not None
    assert [row[1] for row in table.rows] == [
        "87.15", "85.42", "85.26 ± 1.18", "98.88 ± 0.37", "0.6321 ± 0.0059", "0.8693 ± 0.0126",
    ]  # fmt: skip
    assert "trained for 120 and 12 epochs" in table.caption
