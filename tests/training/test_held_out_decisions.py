"""The temperature and the threshold that the held-out answers of a run give its final model."""

import dataclasses

import numpy as np
import pytest

from emocatcher.evaluation.scoring import calibration
from emocatcher.reports import run_report
from emocatcher.training import held_out_decisions


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_a_temperature_is_kept_only_if_held_out_folds_gain_by_it(small_run, temperature):
    """Exact probabilities need no temperature; overconfident and underconfident ones do."""
    run = run_report.read(small_run.folder)
    exact = calibration.scale(run.predictions.probabilities, 0.5)
    random = np.random.default_rng(0)
    true = np.array([random.choice(len(row), p=row) for row in exact])
    shown = calibration.scale(exact, temperature)
    answers = dataclasses.replace(run.predictions, probabilities=shown, emotion=true)
    found, gain = held_out_decisions.calibrate(dataclasses.replace(run, predictions=answers), None)
    if temperature == 1.0:
        assert not gain.beyond_chance
        assert found.temperature == 1.0
        assert {one.temperature for one in found.folds} == {1.0}
        assert found.expected_calibration_error_calibrated == pytest.approx(found.expected_calibration_error, abs=1e-4)
    else:
        assert gain.beyond_chance
        assert found.temperature == pytest.approx(1 / temperature, rel=0.35)
        assert found.expected_calibration_error_calibrated < found.expected_calibration_error


def with_answers(run, right_of):
    """Return a run with the same probabilities, whose answers are right if `right_of(confidence)` is true."""
    answers = run.predictions
    wrong = (answers.predicted + 1) % len(run.result.labels)
    emotion = np.where(right_of(answers.probabilities.max(axis=1)), answers.predicted, wrong)
    return dataclasses.replace(run, predictions=dataclasses.replace(answers, emotion=emotion))


def test_by_default_four_in_five_answers_above_the_threshold_are_right(small_run):
    run = run_report.read(small_run.folder)
    middle = np.median(run.predictions.probabilities.max(axis=1))
    found, _ = held_out_decisions.calibrate(with_answers(run, lambda sure: sure > middle), None)
    assert found.share_kept >= 0.1
    assert found.accuracy_kept == pytest.approx(0.8, abs=0.05)
    assert found.abstain_below not in (None, held_out_decisions.ABSTAIN_BELOW)


def test_a_threshold_that_leaves_almost_no_answers_is_not_used(small_run):
    run = run_report.read(small_run.folder)
    highest = np.quantile(run.predictions.probabilities.max(axis=1), 0.98)
    for right_of in (lambda sure: sure > highest, lambda sure: sure < 0):
        found, _ = held_out_decisions.calibrate(with_answers(run, right_of), None)
        assert found.abstain_below == held_out_decisions.ABSTAIN_BELOW
        assert found.least_accuracy is None
