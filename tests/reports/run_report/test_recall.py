from collections.abc import Callable
from pathlib import Path

import numpy as np

from emocatcher.evaluation.run_folder import read
from emocatcher.foundation.labels import colours
from emocatcher.reports.run_report import recall, tables
from emocatcher.reports.run_report.style import paper
from emocatcher.reports.run_report.tables import recall_bounds


def test_bars_show_the_mean_in_the_colour_of_the_emotion_and_dots_the_folds(made_run: Callable[..., Path]) -> None:
    from matplotlib.colors import to_hex

    run = read(made_run(n_folds=3, n_utterances=240, n_epochs=2))
    with paper():
        panel = recall.draw(run).figure.axes[0]
    mean = run.result.mean.selected.recall
    assert [bar.get_width() for bar in panel.patches] == [mean[label] for label in run.result.labels]
    assert [to_hex(bar.get_facecolor()).upper() for bar in panel.patches] == list(colours(run.result.labels).values())
    assert [label.get_text() for label in panel.get_yticklabels()] == list(run.result.labels)
    dots = [line for line in panel.get_lines() if line.get_marker() == "o"]
    assert len(dots) == 3
    for line, fold in zip(dots, run.result.folds, strict=True):
        assert list(line.get_xdata()) == [fold.selected.recall[label] for label in run.result.labels]


def test_an_absent_emotion_has_a_dash_and_one_fold_has_no_dots(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=2, absent_label=True))
    with paper():
        drawing = recall.draw(run)
    panel = drawing.figure.axes[0]
    assert panel.texts[-1].get_text() == "\N{EN DASH}"
    assert not [line for line in panel.get_lines() if line.get_marker() == "o"]
    assert not np.isnan([bar.get_width() for bar in panel.patches]).any()
    assert "surprised" not in drawing.alt


def test_bars_have_intervals_numbers_of_utterances_and_the_chance_level(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=2, n_utterances=240, n_epochs=2, absent_label=True))
    with paper():
        panel = recall.draw(run).figure.axes[0]
    bounds = recall_bounds(run)
    assert np.isnan(bounds[-1]).all()  # the absent emotion
    for lines in panel.collections:  # a white line, and a dark one on it
        drawn = [segment[:, 0] for segment in lines.get_segments()]
        np.testing.assert_array_equal(drawn, bounds[:-1])
    assert len(panel.collections) == 2
    texts = [text.get_text() for text in panel.texts]
    counts = np.bincount(run.predictions.emotion, minlength=8)
    assert [text for text in texts if text.isdigit()] == [str(n) for n in counts]
    (line,) = (line for line in panel.get_lines() if line.get_label() == "_chance")
    assert set(line.get_xdata()) == {1 / 7}  # of the emotions that occur
    table = tables.recall(run)
    assert "95% interval" in table.header
    assert [row[1] for row in table.rows] == [str(n) for n in counts]
