from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from emocatcher.evaluation.run_folder import read
from emocatcher.reports.run_report import speakers
from emocatcher.reports.run_report.style import paper


def test_speakers_are_sorted_by_accuracy_and_both_ends_are_labelled(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=5, n_utterances=480, n_epochs=2))
    with paper():
        drawing = speakers.draw(run)
    assert drawing is not None
    panel = drawing.figure.axes[0]
    names = [label.get_text() for label in panel.get_xticklabels()]
    predictions = run.predictions
    accuracy = [predictions.correct[predictions.speaker == name].mean() for name in names]
    assert len(names) == 24
    assert accuracy == sorted(accuracy)
    assert [text.get_text() for text in panel.texts if "chance" not in text.get_text()] == [
        f"{name}: {value:.1%}" for name, value in ((names[0], accuracy[0]), (names[-1], accuracy[-1]))
    ]
    points = np.concatenate([line.get_ydata() for line in panel.get_lines() if line.get_linestyle() == "None"])
    assert sorted(points) == accuracy
    assert {text.get_text() for text in panel.get_legend().get_texts()} == {"female", "male"}


def test_unknown_speakers_are_left_out(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_utterances=240, n_epochs=2)
    path = run_dir / "predictions.csv"
    head, *rows = path.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    for row in cells:
        if row[2] == "07":
            row[2] = row[3] = ""
    path.write_text("\n".join([head, *(",".join(row) for row in cells)]))
    with paper():
        drawing = speakers.draw(read(run_dir))
    assert drawing is not None
    assert "" not in {label.get_text() for label in drawing.figure.axes[0].get_xticklabels()}


def test_a_run_without_speakers_has_no_drawing(made_run: Callable[..., Path]) -> None:
    assert speakers.draw(read(made_run(n_utterances=120, n_epochs=2, with_speakers=False))) is None


def test_speakers_have_their_number_of_utterances_and_wilson_intervals(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=5, n_utterances=480, n_epochs=2))
    scores = speakers.score(run)
    for one in scores:
        correct = run.predictions.correct[run.predictions.speaker == one.name]
        reference = binomtest(int(correct.sum()), correct.size).proportion_ci(method="wilson")
        assert one.n_utterances == correct.size == 20
        assert one.interval == pytest.approx((reference.low, reference.high))
    with paper():
        drawing = speakers.draw(run)
    assert drawing is not None
    panel = drawing.figure.axes[0]
    drawn = {tuple(segment[:, 1]) for lines in panel.collections for segment in lines.get_segments()}
    assert drawn == {one.interval for one in scores}
    assert "n = 20" in panel.get_xlabel()
    assert [line for line in panel.get_lines() if line.get_label() == "_chance"]
    table = speakers.table(run)
    assert table is not None
    assert [row[0] for row in table.rows] == [one.name for one in scores]
    assert {"test utterances", "95% interval"} <= set(table.header)
