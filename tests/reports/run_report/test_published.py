import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from emocatcher.evaluation.run_folder import read
from emocatcher.reports.run_report import published


def test_published_folds_average_to_the_published_means() -> None:
    theirs = published.PUBLISHED["reference-cv5"]
    assert statistics.mean(theirs.best_test_of_folds) == pytest.approx(theirs.accuracy.best_test, abs=5e-5)
    assert statistics.pstdev(theirs.best_test_of_folds) == pytest.approx(theirs.best_test_std, abs=5e-5)
    assert statistics.mean(theirs.last_of_folds) == pytest.approx(theirs.accuracy.last, abs=5e-5)


@pytest.mark.parametrize(
    "change", [{"preset": "other"}, {"corpus": "my"}, {"synthetic": True}, {"protocol": "speakers-5"}]
)
def test_other_runs_are_not_compared_with_the_published_figures(
    made_run: Callable[..., Path], change: dict[str, object]
) -> None:
    result = read(made_run(n_utterances=120, n_epochs=2)).result
    assert published.comparable(result) is published.PUBLISHED["reference-holdout"]
    assert published.comparable(msgspec.structs.replace(result, **change)) is None
