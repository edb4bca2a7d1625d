"""Score ratings of dimensions, such as arousal: the concordance correlation coefficient, with intervals.

The coefficient (CCC) of Lin (1989, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45,
doi:10.2307/2532051) is Pearson's correlation, reduced where the mean or the spread differs: 1 only if all are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emocatcher.evaluation.scoring import bootstrap
from emocatcher.evaluation.scoring.run_result import DimensionScore, Estimate
from emocatcher.foundation.dimensions import Dimension

Values = npt.NDArray[np.float64]


def concordance_score(true: npt.ArrayLike, estimated: npt.ArrayLike) -> float:
    """Compute the CCC of two arrays of shape (n,), from -1 to 1; NaN if both are one equal constant.

    Raises:
        ValueError: if the shapes differ, or there is no value.

    Examples:
        >>> concordance_score([1, 2, 3], [1, 2, 3]), concordance_score([1, 2, 3], [3, 2, 1])
        (1.0, -1.0)
        >>> round(concordance_score([1, 2, 3], [2, 3, 4]), 3)  # the correlation is 1
        0.571
    """
    one, other = np.asarray(true, np.float64), np.asarray(estimated, np.float64)
    if one.shape != other.shape or one.ndim != 1 or not one.size:
        raise ValueError(f"shapes {one.shape} and {other.shape}; needed: two equal ones (n,), of at least one value")
    return float(_of_sums(_terms(one, other).sum(axis=0)))


def score(
    true: Values,
    estimated: npt.NDArray[np.floating[Any]],
    speakers: Sequence[str | None] | None,
    dimensions: Sequence[Dimension],
) -> tuple[DimensionScore, ...]:
    """Score each dimension over the utterances that are rated, with an interval by drawing speakers.

    Args:
        true: shape (n_utterances, n_dimensions), NaN where there is no rating.
        estimated: the same shape and units.
        speakers: (n_utterances,) speakers; None, or None among them, where unknown.
        dimensions: the columns.

    Returns:
        the dimensions whose ratings and answers differ among each other.
    """
    found = []
    for column, one in enumerate(dimensions):
        rated = np.flatnonzero(~np.isnan(true[:, column]))
        if not len(rated):
            continue
        theirs, ours = true[rated, column], estimated[rated, column].astype(np.float64)
        mean = concordance_score(theirs, ours)
        if np.isnan(mean):
            continue
        known = None if speakers is None else [speakers[i] for i in rated.tolist()]
        of = bootstrap.clusters(known, len(rated))
        drawn = _resampled(of, _terms(theirs, ours))
        found.append(
            DimensionScore(
                name=one.name,
                low=one.low,
                high=one.high,
                n_utterances=len(rated),
                concordance=Estimate(mean, bootstrap.interval(drawn[~np.isnan(drawn)])),
                mean_absolute_error=float(np.abs(theirs - ours).mean()),
                resampled=of.resampled,
            )
        )
    return tuple(found)


def _resampled(of: bootstrap.Clusters, terms: Values) -> Values:
    sums = of.totals(terms)
    return bootstrap.resample(of, lambda times_drawn: _of_sums(times_drawn @ sums))


def _terms(true: Values, estimated: Values) -> Values:
    """What is summed over utterances, shape (n, 6); shifted to a mean of 0, so that no digits are lost."""
    shift = true.mean()
    x, y = true - shift, estimated - shift
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def _of_sums(sums: Values) -> Values:
    """The CCC from sums of `_terms`, shape (..., 6)."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    covariance = xy / n - x * y / n**2
    spread = xx / n - (x / n) ** 2 + yy / n - (y / n) ** 2 + (x / n - y / n) ** 2
    found = np.full(np.shape(spread), np.nan)
    np.divide(2.0 * covariance, spread, out=found, where=spread > 1e-12)
    return found
