from collections.abc import Callable
from pathlib import Path

import numpy as np

from emocatcher.evaluation.run_folder import read
from emocatcher.foundation.labels import colours
from emocatcher.reports.run_report import recall
from emocatcher.reports.run_report.style import paper


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
