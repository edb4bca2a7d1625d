from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.evaluation.run_folder import read
from emocatcher.reports.run_report import attention
from emocatcher.reports.run_report.style import paper


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 200))
def test_uniform_attention_resamples_to_one_at_every_length(n_steps: int, n_points: int) -> None:
    np.testing.assert_allclose(attention.resample(np.full(n_steps, 1 / n_steps), n_points), 1)


@settings(max_examples=30)
@given(st.integers(3, 40), st.integers(0, 39))
def test_resampling_keeps_the_position_of_a_peak(n_steps: int, at: int) -> None:
    at = 1 + at % (n_steps - 2)
    weights = np.full(n_steps, 0.1)
    weights[at] = 1
    resampled = attention.resample(weights / weights.sum(), 400)
    assert abs((resampled.argmax() + 0.5) / 400 - (at + 0.5) / n_steps) <= 1 / 400


def test_each_emotion_has_a_panel_with_its_count_and_rows_sorted_by_length(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=240, n_epochs=2))
    with paper():
        drawing = attention.draw(run)
    panels = drawing.figure.axes
    for index, label in enumerate(run.result.labels):
        mine = np.flatnonzero(run.predictions.emotion == index)
        assert panels[index].get_title(loc="left").startswith(f"{label}  n = {mine.size}")
        shown = panels[index].get_images()[0].get_array()
        assert shown.shape[0] == mine.size
        lengths = [run.evidence.attention[row].size for row in mine]
        shortest = run.evidence.attention[mine[int(np.argmin(lengths))]]
        np.testing.assert_allclose(shown[0], attention.resample(shortest, shown.shape[1]))
    assert "fold 0" in drawing.figure.texts[0].get_text()


def test_all_panels_share_one_colour_scale(made_run: Callable[..., Path]) -> None:
    with paper():
        figure = attention.draw(read(made_run(n_utterances=240, n_epochs=2))).figure
    assert len({panel.get_images()[0].get_clim() for panel in figure.axes if panel.get_images()}) == 1


def test_panel_of_an_emotion_without_utterances_is_labelled(made_run: Callable[..., Path]) -> None:
    with paper():
        figure = attention.draw(read(made_run(n_utterances=120, n_epochs=2, absent_label=True))).figure
    assert figure.axes[7].get_title(loc="left") == "surprised  n = 0"
    assert figure.axes[7].texts[0].get_text() == "no test utterance"


@pytest.mark.parametrize("n_labels", [2, 5])
def test_panel_count_follows_the_number_of_emotions(made_run: Callable[..., Path], n_labels: int) -> None:
    labels = tuple(f"a rather long name {index}" for index in range(n_labels))
    with paper():
        figure = attention.draw(read(made_run(n_utterances=60, n_epochs=2, labels=labels))).figure
    assert sum("\nn = " in panel.get_title(loc="left") for panel in figure.axes) == n_labels
