from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emocatcher.evaluation.scoring import metrics
from emocatcher.foundation.errors import RunError
from emocatcher.reports.comparison import groups, scores

Make = Callable[..., Path]


def _row(*run_dirs: Path) -> scores.Row:
    (members,) = groups.group(groups.read(run_dirs))
    return scores.row(members, "row")


def test_one_run_has_the_numbers_of_its_report_and_no_standard_deviation(several: dict[str, Path]) -> None:
    (run,) = groups.read([several["shared-s0"]])
    row, predictions = _row(several["shared-s0"]), run.predictions
    assert row.accuracy == scores.Spread(run.result.mean.selected.accuracy)
    assert row.recall["happy"].mean == run.result.mean.selected.recall["happy"]
    expected = metrics.bootstrap_intervals(predictions.emotion, predictions.predicted, predictions.speaker.tolist(), 8)
    assert row.accuracy_interval == expected.accuracy
    assert row.unweighted_average_recall_interval == expected.unweighted_average_recall
    error = metrics.expected_calibration_error(predictions.probabilities, predictions.emotion)
    assert row.expected_calibration_error == scores.Spread(error)
    assert row.by_gender["female"] == pytest.approx(predictions.correct[predictions.gender == "female"].mean())
    assert sum(row.reliability.n_utterances) == row.n_test == len(predictions.fold)


def test_worst_and_best_speaker_are_the_extremes(several: dict[str, Path]) -> None:
    (run,) = groups.read([several["shared-s0"]])
    predictions, row = run.predictions, _row(several["shared-s0"])
    rates = {name: predictions.correct[predictions.speaker == name].mean() for name in np.unique(predictions.speaker)}
    assert row.worst_speaker is not None
    assert row.best_speaker is not None
    assert row.worst_speaker.accuracy == min(rates.values()) == rates[row.worst_speaker.name]
    assert row.best_speaker.accuracy == max(rates.values()) == rates[row.best_speaker.name]


def test_seeds_are_combined_as_mean_and_sample_standard_deviation(several: dict[str, Path]) -> None:
    row = _row(several["shared-s0"], several["shared-s1"])
    each = [_row(several[name]) for name in ("shared-s0", "shared-s1")]
    accuracies = [one.accuracy.mean or 0.0 for one in each]
    assert row.accuracy.mean == pytest.approx(np.mean(accuracies))
    assert row.accuracy.std == pytest.approx(np.std(accuracies, ddof=1))
    assert [one.seed for one in row.runs] == [0, 1]
    middle = [np.mean([one.accuracy_interval[end] for one in each]) for end in (0, 1)]
    assert row.accuracy_interval == pytest.approx(middle, abs=0.03)


def test_seeds_do_not_narrow_the_interval_where_speakers_are_unknown(make: Make) -> None:
    """Two seeds with equal predictions hold no more information than one, so the interval stays about as wide."""
    first, second = make("a", with_speakers=False), make("b", with_speakers=False, seed=1)
    single, both = _row(first), _row(first, second)
    assert single.resampled == both.resampled == "utterances"
    width = [row.accuracy_interval[1] - row.accuracy_interval[0] for row in (single, both)]
    assert width[1] == pytest.approx(width[0], rel=0.15)
    assert (both.worst_speaker, both.by_gender, both.speakers_shared) == (None, {}, "unknown")


def test_invalid_probabilities_are_refused(make: Make) -> None:
    run = make("run")
    path = run / "predictions.csv"
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, ",".join([*first.split(",")[:-1], "5"]), *rest]))
    with pytest.raises(RunError, match=r"run/predictions\.csv.*not a distribution"):
        _row(run)


def test_spread_ignores_unknown_values() -> None:
    assert scores.spread([]) == scores.spread([None, float("nan")]) == scores.Spread(None)
    assert scores.spread([0.5, None]) == scores.Spread(0.5)
