"""Temperature scaling corrects the confidence of a model and never changes an answer."""

import msgspec
import numpy as np
import pytest

from emocatcher.evaluation.scoring import calibration, metrics


def answers(n=3_000, overconfidence=2.0, seed=0):
    """Probabilities of a model whose logits are `overconfidence` times those that the labels were drawn from."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n, 5))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = np.array([random.choice(5, p=row) for row in honest])
    sure = np.exp(overconfidence * logits)
    return sure / sure.sum(axis=1, keepdims=True), true, random.integers(0, 3, n)


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_undoes_overconfidence(overconfidence):
    probabilities, true, _ = answers(overconfidence=overconfidence)
    assert calibration.fit_temperature(probabilities, true) == pytest.approx(overconfidence, rel=0.08)


def test_scaling_keeps_the_answers_and_temperature_1_changes_nothing():
    probabilities, _, _ = answers(200)
    np.testing.assert_allclose(calibration.scale(probabilities, 1.0), probabilities, atol=1e-5)
    scaled = calibration.scale(probabilities, 3.0)
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1.0)
    assert (scaled.max(axis=1) < probabilities.max(axis=1)).all()


def test_calibration_lowers_the_error_of_folds_it_was_not_fitted_on():
    probabilities, true, folds = answers()
    found = calibration.calibrate(probabilities, true, folds, abstain_below=0.4)
    assert found.expected_calibration_error == metrics.expected_calibration_error(probabilities, true)
    assert found.expected_calibration_error_calibrated < found.expected_calibration_error / 2
    assert found.accuracy_kept > (probabilities.argmax(axis=1) == true).mean()
    assert 0 < found.share_kept < 1


def test_a_fold_is_not_scored_with_its_own_temperature():
    probabilities, true, folds = answers(900)
    before = calibration.calibrate(probabilities, true, folds, abstain_below=0.0)
    # One fold whose answers are always wrong changes the temperature of the others, but is scored with the others'.
    corrupted = true.copy()
    corrupted[folds == 0] = probabilities[folds == 0].argmin(axis=1)
    after = calibration.calibrate(probabilities, corrupted, folds, abstain_below=0.0)
    others = calibration.fit_temperature(probabilities[folds != 0], true[folds != 0])
    scored = calibration.scale(probabilities[folds == 0], others)
    assert after.temperature > before.temperature
    own = calibration.fit_temperature(probabilities[folds == 0], corrupted[folds == 0])
    assert own > 2 * others
    assert scored.max() > 0.9  # still confident, though always wrong


def test_one_fold_is_refused():
    probabilities, true, _ = answers(50)
    with pytest.raises(ValueError, match="two or more"):
        calibration.calibrate(probabilities, true, np.zeros(50, int), abstain_below=0.4)


def test_without_any_answer_there_is_no_accuracy():
    probabilities, true, folds = answers(50)
    found = calibration.calibrate(probabilities, true, folds, abstain_below=1.0)
    assert found.share_kept == 0
    assert found.accuracy_kept is found.accuracy_kept_interval is None


@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_the_gaps_of_a_reliability_diagram_add_up_to_the_calibration_error(n_bins):
    probabilities, true, _ = answers()
    bins = calibration.reliability(probabilities, true, n_bins)
    known = bins.n_utterances > 0
    assert bins.n_utterances.sum() == len(true)
    gaps = np.abs(bins.confidence - bins.accuracy)[known] * bins.n_utterances[known]
    error = metrics.expected_calibration_error(probabilities, true, n_bins)
    assert gaps.sum() / len(true) == pytest.approx(error)
    assert np.isnan(bins.accuracy[~known]).all()
    edges = np.arange(n_bins + 1) / n_bins
    assert ((bins.confidence > edges[:-1]) & (bins.confidence <= edges[1:] + 1e-12))[known].all()


def test_answers_that_reach_the_threshold_of_the_other_folds_are_marked():
    probabilities, true, folds = answers(600)
    found = calibration.calibrate(probabilities, true, folds)
    marked = calibration.answered(probabilities, folds, found)
    assert marked.mean() == found.share_kept
    assert (probabilities.argmax(axis=1) == true)[marked].mean() == found.accuracy_kept
    for one in found.folds:
        assert marked[folds == one.fold].mean() == one.share_kept
    never = msgspec.structs.replace(
        found, folds=tuple(msgspec.structs.replace(one, abstain_below=None) for one in found.folds)
    )
    assert not calibration.answered(probabilities, folds, never).any()


def test_the_threshold_reaches_its_accuracy_on_folds_that_did_not_choose_it():
    probabilities, true, folds = answers(6_000)
    found = calibration.calibrate(probabilities, true, folds)
    right = probabilities.argmax(axis=1) == true
    assert right.mean() < 0.7
    assert found.least_accuracy == calibration.LEAST_ACCURACY == 0.8
    assert found.accuracy_kept == pytest.approx(0.8, abs=0.02)
    assert found.accuracy_kept_interval[0] < found.accuracy_kept < found.accuracy_kept_interval[1]
    assert 0.2 < found.share_kept < 0.8
    sure = calibration.scale(probabilities, found.temperature).max(axis=1)
    assert right[sure >= found.abstain_below].mean() >= 0.8
    assert right[sure >= found.abstain_below - 0.02].mean() < 0.8
    assert found.share_kept == pytest.approx(np.mean([one.share_kept for one in found.folds]), abs=0.01)


def test_a_fold_does_not_affect_its_own_temperature_or_threshold():
    probabilities, true, folds = answers(900)
    before = calibration.calibrate(probabilities, true, folds)
    corrupted = true.copy()
    corrupted[folds == 1] = probabilities[folds == 1].argmin(axis=1)
    after = calibration.calibrate(probabilities, corrupted, folds)
    for one, other in zip(before.folds, after.folds, strict=True):
        same = (one.temperature, one.abstain_below) == (other.temperature, other.abstain_below)
        assert same == (one.fold == 1)
    assert after.folds[1].share_kept == before.folds[1].share_kept
    assert after.folds[1].accuracy_kept == 0  # as many answers are given, and all are wrong


def test_a_fold_gives_no_answer_if_the_other_folds_find_no_threshold():
    probabilities, _, _ = answers(300)
    wrong = np.where(np.arange(300) < 200, probabilities.argmin(axis=1), probabilities.argmax(axis=1))
    found = calibration.calibrate(probabilities, wrong, np.arange(300) // 100)
    last = found.folds[2]
    assert (last.abstain_below, last.share_kept, last.accuracy_kept) == (None, 0, None)
    assert found.folds[0].abstain_below is not None


def test_the_reported_error_is_that_of_the_crossed_probabilities():
    probabilities, true, folds = answers(900)
    found = calibration.calibrate(probabilities, true, folds)
    crossed = calibration.crossed(probabilities, folds, found)
    assert metrics.expected_calibration_error(crossed, true) == found.expected_calibration_error_calibrated
    here = folds == 2
    others = calibration.fit_temperature(probabilities[~here], true[~here])
    np.testing.assert_array_equal(crossed[here], calibration.scale(probabilities[here], others))


def test_the_interval_draws_speakers_if_they_are_known():
    probabilities, true, folds = answers(900)
    groups = [f"{n % 6}" for n in range(900)]
    by_speaker = calibration.calibrate(probabilities, true, folds, groups=groups)
    kept = [*groups[:899], None]
    assert by_speaker.accuracy_kept == calibration.calibrate(probabilities, true, folds, groups=kept).accuracy_kept
    assert by_speaker.accuracy_kept_interval != calibration.calibrate(probabilities, true, folds).accuracy_kept_interval


def gain_of(overconfidence, seed=0, groups=None, n=3_000):
    probabilities, true, folds = answers(n, overconfidence=overconfidence, seed=seed)
    found = calibration.calibrate(probabilities, true, folds)
    return calibration.temperature_gain(probabilities, true, folds, found, groups)


@pytest.mark.parametrize("overconfidence", [0.5, 2.0])
def test_a_temperature_lowers_the_log_loss_of_an_overconfident_or_underconfident_model(overconfidence):
    gain = gain_of(overconfidence)
    assert gain.beyond_chance
    assert gain.interval[0] < gain.log_loss < gain.interval[1]
    assert gain.resampled == "utterances"


def test_a_temperature_does_not_help_if_probabilities_are_exact():
    gains = [gain_of(1.0, seed=seed, n=300) for seed in range(20)]
    assert sum(gain.beyond_chance for gain in gains) <= 2
    assert np.mean([gain.log_loss for gain in gains]) < 0  # fitting to noise costs a little


def test_the_gain_is_the_mean_difference_of_log_losses_under_the_other_folds_temperature():
    probabilities, true, folds = answers(300)
    found = calibration.calibrate(probabilities, true, folds)
    expected = 0.0
    for row, label, fold in zip(probabilities, true, folds, strict=True):
        others = calibration.fit_temperature(probabilities[folds != fold], true[folds != fold])
        expected += np.log(calibration.scale(row[None], others)[0, label]) - np.log(row[label])
    gain = calibration.temperature_gain(probabilities, true, folds, found)
    assert gain.log_loss == pytest.approx(expected / 300, abs=1e-5)


def test_a_gain_from_one_speaker_only_is_not_beyond_chance():
    exact, sure = answers(2_400, overconfidence=1.0, seed=1), answers(600, overconfidence=5.0, seed=2)
    probabilities, true, folds = (np.concatenate(both) for both in zip(exact, sure, strict=True))
    speakers = [f"{n % 8}" for n in range(2_400)] + ["overconfident"] * 600
    found = calibration.calibrate(probabilities, true, folds)
    by_utterance = calibration.temperature_gain(probabilities, true, folds, found)
    by_speaker = calibration.temperature_gain(probabilities, true, folds, found, speakers)
    assert by_speaker.log_loss == by_utterance.log_loss > 0
    assert by_speaker.resampled == "speakers"
    assert by_utterance.beyond_chance
    assert not by_speaker.beyond_chance


def test_a_given_temperature_is_used_for_every_fold():
    probabilities, true, folds = answers(600)
    found = calibration.calibrate(probabilities, true, folds, temperature=1.0)
    assert {found.temperature, *(one.temperature for one in found.folds)} == {1.0}
    assert found.expected_calibration_error_calibrated == pytest.approx(found.expected_calibration_error, abs=1e-5)
    right = probabilities.argmax(axis=1) == true
    assert right[probabilities.max(axis=1) >= found.abstain_below].mean() >= 0.8
