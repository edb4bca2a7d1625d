from collections.abc import Callable
from pathlib import Path

import numpy as np

from emocatcher.evaluation.run_folder import read
from emocatcher.reports.run_report import confusion
from emocatcher.reports.run_report.figure_files import save
from emocatcher.reports.run_report.style import paper

SMALL = {"n_utterances": 240, "n_epochs": 2}


def test_counts_match_the_predictions_and_their_trace_the_correct_ones(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=2, **SMALL))
    both, first = confusion.count(run, [0, 1]), confusion.count(run, [0])
    assert (both == first + confusion.count(run, [1])).all()
    assert both.sum() == run.predictions.fold.size
    assert np.trace(both) == run.predictions.correct.sum()
    for true, predicted in ((0, 1), (3, 3)):
        expected = (run.predictions.emotion == true) & (run.predictions.predicted == predicted)
        assert both[true, predicted] == expected.sum()


def test_row_shares_are_the_recalls_of_the_result(made_run: Callable[..., Path]) -> None:
    run = read(made_run(absent_label=True, **SMALL))
    shares = confusion.shares(confusion.count(run, [0]))
    np.testing.assert_allclose(shares[:-1].sum(axis=1), 1)
    assert np.isnan(shares[-1]).all()
    expected = [run.result.folds[0].selected.recall[label] for label in run.result.labels]
    np.testing.assert_allclose(np.diag(shares), expected)


def test_svg_holds_every_count_and_every_label_as_text(made_run: Callable[..., Path], tmp_path: Path) -> None:
    run = read(made_run(**SMALL))
    with paper():
        (drawing,) = confusion.draw(run)
        svg = save(drawing, run.result, tmp_path)
    shown = [piece.rsplit(">", 1)[-1] for piece in svg.split("</text>")]
    counts = confusion.count(run, [0])
    for value in np.unique(counts):
        assert shown.count(str(value)) >= (counts == value).sum()
    for label in run.result.labels:
        assert shown.count(label) == 4  # a row and a column in each of two matrices


def test_lowest_and_highest_fold_come_from_the_result(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=3, **SMALL))
    with paper():
        drawings = {drawing.name: drawing for drawing in confusion.draw(run)}
    titles = [axes.get_title(loc="left") for axes in drawings["confusion_lowest_highest"].figure.axes]
    for title, rank, fold in zip(
        titles, ("Lowest", "Highest"), (run.result.lowest_fold, run.result.highest_fold), strict=True
    ):
        accuracy = run.result.fold(fold).selected.accuracy
        assert title.startswith(f"{rank}: fold {fold} · accuracy {accuracy:.2%}")


def test_cells_stay_large_enough_for_their_numbers(made_run: Callable[..., Path]) -> None:
    labels = tuple(f"number {index}" for index in range(20))
    with paper():
        (drawing,) = confusion.draw(read(made_run(labels=labels, **SMALL)))
    left = drawing.figure.axes[0].get_position()
    assert left.width * drawing.figure.get_figwidth() / 20 >= 0.299
