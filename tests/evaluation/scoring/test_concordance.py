"""The concordance correlation coefficient, and its intervals."""

import numpy as np
import pytest

from emocatcher.evaluation.scoring.concordance import concordance_score, score
from emocatcher.foundation.dimensions import Dimension

RANGES = (Dimension("arousal", 1.0, 7.0), Dimension("valence", -1.0, 1.0))
Draw = tuple[np.ndarray, np.ndarray, list[str | None]]


@pytest.fixture(scope="module")
def drawn() -> Draw:
    """Ratings and estimates of 200 clips by 20 speakers, whom the model estimates with an error of their own."""
    random = np.random.default_rng(0)
    true = random.uniform([1.0, -1.0], [7.0, 1.0], (200, 2))
    errors = np.repeat(random.normal(0.0, 1.0, (20, 2)), 10, axis=0)
    return true, true + errors, [f"s{n // 10}" for n in range(200)]


def test_the_coefficient_is_that_of_lin_and_below_the_correlation(drawn: Draw) -> None:
    true, estimated, _ = drawn
    x, y = true[:, 0], 0.5 * estimated[:, 0] + 3.0
    expected = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert concordance_score(x, y) == pytest.approx(expected)
    assert concordance_score(x, y) < np.corrcoef(x, y)[0, 1]
    assert concordance_score(x + 1e6, y + 1e6) == pytest.approx(expected, rel=1e-6)


def test_equal_constants_have_no_coefficient_and_an_estimate_that_is_constant_has_0() -> None:
    assert np.isnan(concordance_score([2.0, 2.0], [2.0, 2.0]))
    assert concordance_score([1.0, 3.0], [2.0, 2.0]) == 0.0


def test_only_what_is_rated_counts(drawn: Draw) -> None:
    true, estimated, speakers = drawn
    true = true.copy()
    true[::2, 0] = np.nan
    true[:, 1] = np.nan
    (found,) = score(true, estimated, speakers, RANGES)
    assert (found.name, found.low, found.high, found.n_utterances) == ("arousal", 1.0, 7.0, 100)
    assert found.concordance.mean == pytest.approx(concordance_score(true[1::2, 0], estimated[1::2, 0]))
    assert found.mean_absolute_error == pytest.approx(np.abs(true - estimated)[1::2, 0].mean())


def test_the_interval_is_wider_where_whole_speakers_are_drawn(drawn: Draw) -> None:
    true, estimated, speakers = drawn
    by_speaker, by_utterance = (score(true, estimated, who, RANGES)[0] for who in (speakers, None))
    assert (by_speaker.resampled, by_utterance.resampled) == ("speakers", "utterances")
    widths = [high - low for low, high in (by_speaker.concordance.interval, by_utterance.concordance.interval)]
    assert widths[0] > 1.5 * widths[1]
    low, high = by_speaker.concordance.interval
    assert low < by_speaker.concordance.mean < high


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="two equal ones"):
        concordance_score([1.0], [1.0, 2.0])
