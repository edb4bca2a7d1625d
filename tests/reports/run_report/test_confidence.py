import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from emocatcher.evaluation.run_folder import Run, read
from emocatcher.evaluation.scoring import abstaining, calibration, metrics
from emocatcher.foundation.errors import RunError
from emocatcher.reports.run_report import confidence
from emocatcher.reports.run_report.style import paper


@pytest.fixture
def run(made_run: Callable[..., Path]) -> Run:
    return read(made_run(n_folds=3, n_utterances=600, n_epochs=2))


def test_calibration_of_an_old_run_is_computed_from_its_predictions(run: Run) -> None:
    assert run.result.calibration is None
    found = confidence.measure(run)
    assert found is not None
    answers = run.predictions
    assert found.expected_calibration_error == metrics.expected_calibration_error(
        answers.probabilities, answers.emotion
    )
    others = answers.fold != 1
    assert found.folds[1].temperature == calibration.fit_temperature(
        answers.probabilities[others], answers.emotion[others]
    )


def test_calibration_in_the_result_is_not_computed_again(run: Run) -> None:
    found = confidence.measure(run)
    assert found is not None
    stored = msgspec.structs.replace(found, temperature=3.21)
    result = msgspec.structs.replace(run.result, calibration=stored)
    assert confidence.measure(dataclasses.replace(run, result=result)) is stored


def test_sentence_and_table_show_the_measured_numbers(run: Run) -> None:
    found = confidence.measure(run)
    table = confidence.table(run)
    assert found is not None
    assert table is not None
    assert found.accuracy_kept is not None
    words = confidence.sentence(run)
    for number in (
        f"{found.expected_calibration_error:.3f} uncalibrated",
        f"{found.expected_calibration_error_calibrated:.3f} with the temperature fitted on the other folds",
        f"{found.share_kept:.1%} of the utterances are answered",
        f"{found.accuracy_kept:.1%} are correct",
    ):
        assert number in words
    assert ("below the target" in words) == (found.accuracy_kept < 0.8)
    assert [row[0] for row in table.rows[:3]] == ["fold 0", "fold 1", "fold 2"]
    assert table.rows[3][3:5] == (f"{found.share_kept * 100:.2f}", f"{found.accuracy_kept * 100:.2f}")
    assert all(len(row) == len(table.header) for row in table.rows)


def test_missing_threshold_is_stated_in_sentence_and_figure(run: Run) -> None:
    found = confidence.measure(run)
    assert found is not None
    none = msgspec.structs.replace(
        found, abstain_below=None, share_kept=0.0, accuracy_kept=None, accuracy_kept_interval=None
    )
    poor = dataclasses.replace(run, result=msgspec.structs.replace(run.result, calibration=none))
    assert "No threshold fitted on the other folds reaches 80% accuracy" in confidence.sentence(poor)
    with paper():
        drawing = confidence.draw(poor)
    assert drawing is not None
    assert "no threshold reaches the target accuracy" in drawing.alt
    assert len([line for line in drawing.figure.axes[2].get_lines() if line.get_marker() == "o"]) == 0


def test_figure_shows_the_predictions_before_and_after_calibration(run: Run) -> None:
    found = confidence.measure(run)
    assert found is not None
    with paper():
        drawing = confidence.draw(run)
    assert drawing is not None
    before, after, curve = drawing.figure.axes
    assert f"ECE {found.expected_calibration_error:.3f}" in before.get_title("left")
    assert f"ECE {found.expected_calibration_error_calibrated:.3f}" in after.get_title("left")
    assert f"AURC {found.area_under_risk_coverage:.3f}" in curve.get_title("left")
    answers = run.predictions
    crossed = calibration.crossed(answers.probabilities, answers.fold, found)
    for panel, probabilities in ((before, answers.probabilities), (after, crossed)):
        counts = calibration.reliability(probabilities, answers.emotion, 10).n_utterances
        depths = [-bar.get_height() for bar in panel.patches if bar.get_y() == 0 > bar.get_height()]
        np.testing.assert_allclose(depths, 0.2 * counts[counts > 0] / counts.max())
    points = abstaining.risk_coverage(crossed.max(axis=1), answers.correct)
    np.testing.assert_array_equal(curve.get_lines()[0].get_ydata(), points.accuracy)
    dots = [line for line in curve.get_lines() if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots] == [(found.share_kept, found.accuracy_kept)]


def test_a_run_with_one_fold_has_no_calibration(made_run: Callable[..., Path]) -> None:
    single = read(made_run(n_utterances=120, n_epochs=2))
    assert (confidence.measure(single), confidence.table(single), confidence.draw(single)) == (None, None, None)
    assert confidence.sentence(single) == ""


def test_invalid_probabilities_are_refused(run: Run) -> None:
    spoilt = dataclasses.replace(run.predictions, probabilities=run.predictions.probabilities * 2)
    with pytest.raises(RunError, match="not a distribution"):
        confidence.measure(dataclasses.replace(run, predictions=spoilt))
