from collections.abc import Callable
from pathlib import Path

import numpy as np

from emocatcher.evaluation.run_folder import read
from emocatcher.reports.run_report import examples
from emocatcher.reports.run_report.style import paper


def test_titles_show_true_predicted_and_probability_and_errors_have_a_cross_and_a_frame(
    made_run: Callable[..., Path],
) -> None:
    run = read(made_run(n_utterances=240, n_epochs=2))
    with paper():
        drawing = examples.draw(run)
    row_of = {utterance: row for row, utterance in enumerate(run.predictions.utterance)}
    labels, n_wrong = run.result.labels, 0
    for panel, utterance in zip(drawing.figure.axes, run.evidence.example_utterances, strict=True):
        row = row_of[utterance]
        right = run.predictions.correct[row]
        n_wrong += not right
        true, predicted = labels[run.predictions.emotion[row]], labels[run.predictions.predicted[row]]
        title = panel.get_title(loc="left").replace("\n", " ")
        assert title == f"{'✓' if right else '✗'} {true} / {predicted} ({run.predictions.probability[row]:.0%})"
        assert panel.spines["top"].get_visible() == (not right)
        assert title[2:] in drawing.alt
    assert 0 < n_wrong < 16
    assert drawing.alt.count(", wrong") == n_wrong


def test_axes_are_in_seconds_and_hertz(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=240, n_epochs=2))
    with paper():
        figure = examples.draw(run).figure
    evidence = run.evidence
    for panel, log_mel in zip(figure.axes, evidence.example_log_mel, strict=True):
        image = panel.get_images()[0]
        np.testing.assert_array_equal(image.get_array(), log_mel)
        assert image.get_extent()[1] == log_mel.shape[1] * evidence.frame_period_s
        assert image.origin == "lower"
    first = figure.axes[0]
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["250", "1000", "4000"]
    bands = [np.abs(evidence.mel_centres_hz - int(label)).argmin() for label in labels]
    np.testing.assert_allclose(first.get_yticks(), np.array(bands) + 0.5, atol=0.51)


def test_attention_line_peaks_at_the_right_time(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=240, n_epochs=2))
    with paper():
        panel = examples.draw(run).figure.axes[0]
    weights = dict(zip(run.evidence.utterances, run.evidence.attention, strict=True))[
        run.evidence.example_utterances[0]
    ]
    line = panel.get_lines()[-1]
    peak_s = line.get_xdata()[line.get_ydata().argmax()]
    assert peak_s == (weights.argmax() + 0.5) * run.evidence.attention_period_s


def test_grid_has_one_panel_per_example(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=15, n_epochs=2))  # three of them in the test part
    with paper():
        assert len(examples.draw(run).figure.axes) == 3
