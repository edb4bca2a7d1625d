from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emocatcher.evaluation.run_folder import Run, read
from emocatcher.reports.run_report import curves
from emocatcher.reports.run_report.style import Drawing, paper


def _draw(run: Run) -> Drawing:
    with paper():
        return curves.draw(run)


def test_curves_of_one_fold_show_its_values(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=30))
    for axes, quantity in zip(_draw(run).figure.axes, ("accuracy", "loss"), strict=True):
        lines = {line.get_label().split(":")[0]: line for line in axes.get_lines()}
        assert set(lines) == {"train", "test", "best on test (optimistic)"} | (
            {"_chance"} if quantity == "accuracy" else set()
        )
        for part in ("train", "test"):
            np.testing.assert_array_equal(lines[part].get_ydata(), run.curves[f"{part}_{quantity}"][0])
            assert list(lines[part].get_xdata()) == list(range(1, 31))
        assert lines["train"].get_linestyle() != lines["test"].get_linestyle()  # distinct in greyscale


def test_best_epoch_is_marked_and_labelled_optimistic(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=30))
    accuracy = run.curves["test_accuracy"][0]
    mark = next(line for line in _draw(run).figure.axes[0].get_lines() if line.get_marker() == "*")
    assert mark.get_xdata()[0] == accuracy.argmax() + 1
    assert mark.get_ydata()[0] == accuracy.max()
    assert mark.get_label() == f"best on test (optimistic): {accuracy.max():.2%}, epoch {accuracy.argmax() + 1}"


def test_several_folds_are_thin_lines_and_their_mean_is_bold(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=4, n_utterances=120, n_epochs=5, with_valid=True))
    lines = _draw(run).figure.axes[0].get_lines()
    bold = {line.get_label(): line for line in lines if line.get_label().endswith(", mean")}
    assert set(bold) == {"train, mean", "valid, mean", "test, mean"}
    thin = [line for line in lines if line.get_linewidth() < 1 and len(line.get_xdata()) == 5]
    assert len(thin) == 3 * 4
    np.testing.assert_allclose(bold["test, mean"].get_ydata(), run.curves["test_accuracy"].mean(axis=0))


@pytest.mark.parametrize("n_epochs", [12, 30])
def test_caption_mentions_the_shading_only_if_there_is_one(made_run: Callable[..., Path], n_epochs: int) -> None:
    drawing = _draw(read(made_run(n_utterances=120, n_epochs=n_epochs)))
    assert ("Shaded" in drawing.caption) == bool(drawing.figure.axes[0].patches)


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_trainings_of_one_or_two_epochs_are_drawn_as_points(made_run: Callable[..., Path], n_epochs: int) -> None:
    axes = _draw(read(made_run(n_utterances=120, n_epochs=n_epochs))).figure.axes[0]
    assert axes.get_lines()[0].get_marker() == "o"
    ticks = [tick for tick in axes.get_xticks() if 0.5 <= tick <= n_epochs + 0.5]
    assert ticks == [float(epoch) for epoch in range(1, n_epochs + 1)]


def test_a_diverged_epoch_leaves_a_gap(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_folds=2, n_utterances=120, n_epochs=3)
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines()
    for at in (1, 4):  # the second epoch of both folds
        start = lines[at].index('"test_loss": ')
        end = lines[at].index(",", start)
        lines[at] = lines[at][:start] + '"test_loss": NaN' + lines[at][end:]
    path.write_text("\n".join(lines))
    mean = next(x for x in _draw(read(run_dir)).figure.axes[1].get_lines() if x.get_label() == "test, mean")
    assert list(np.isnan(mean.get_ydata())) == [False, True, False]


def test_the_accuracy_panel_shows_the_chance_level(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=5, labels=("aroused", "bored", "content")))
    drawing = _draw(run)
    (line,) = (line for line in drawing.figure.axes[0].get_lines() if line.get_label() == "_chance")
    most_frequent = np.bincount(run.predictions.emotion).max() / run.predictions.emotion.size
    assert set(line.get_ydata()) == {most_frequent}
    assert f"chance {most_frequent:.1%}" in [text.get_text() for text in drawing.figure.axes[0].texts]
    assert "Dotted: chance" in drawing.caption
