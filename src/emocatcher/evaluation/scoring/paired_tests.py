"""Is one model more accurate than another? Paired tests of two models on the same utterances: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from emocatcher.evaluation.scoring import bootstrap
from emocatcher.foundation.errors import MissingExtraError

Rates = npt.NDArray[np.float64]


class PairedDifference(msgspec.Struct, frozen=True):
    """The accuracy of the first model minus that of the second, as fractions in -1..1."""

    difference: float  # of the accuracies, first minus second
    interval: tuple[float, float]
    level: float
    resampled: Literal["speakers", "utterances"]
    n_resampled: int  # number of these
    n_utterances: int
    n_first_ahead: int  # utterances on which the first model does better
    n_second_ahead: int
    p_value: float  # exact McNemar test

    @property
    def told_apart(self) -> bool:
        """Whether the interval excludes zero."""
        return not self.interval[0] <= 0 <= self.interval[1]


def mcnemar_p_value(n_first_ahead: int, n_second_ahead: int) -> float:
    """How likely a split at least this uneven would be, were both equally good: the exact two-sided McNemar test.

    Only utterances on which the two differ count; under the hypothesis each falls to either side like a fair coin
    (McNemar 1947, "Note on the sampling error of the difference between correlated proportions"; the exact binomial
    form as in Dietterich 1998, "Approximate statistical tests for comparing supervised classification learning
    algorithms"). It takes utterances as independent, which the clips of one speaker are not: it can only be too sure.

    Args:
        n_first_ahead: utterances that the first gets right and the second wrong.
        n_second_ahead: the other way round.

    Raises:
        ValueError: if a count is negative.
        MissingExtraError: if SciPy is not installed.

    Examples:
        >>> mcnemar_p_value(0, 3), mcnemar_p_value(5, 5), mcnemar_p_value(0, 0)
        (0.25, 1.0, 1.0)
    """
    if min(n_first_ahead, n_second_ahead) < 0:
        raise ValueError(f"counts {n_first_ahead} and {n_second_ahead}; needed: none below 0")
    if n_first_ahead == n_second_ahead:  # also where both are 0, which SciPy refuses
        return 1.0
    try:
        from scipy.stats import binomtest  # takes half a second to import
    except ImportError:
        raise MissingExtraError("McNemar's test", "train") from None
    return float(binomtest(n_first_ahead, n_first_ahead + n_second_ahead).pvalue)


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: Sequence[str | None] | None,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """The difference of two accuracies on the same utterances, its interval and McNemar's test.

    The interval is the percentile interval of the cluster bootstrap (see `bootstrap`) with the draws of
    `metrics.bootstrap_intervals`: whole speakers are drawn, each with the answers of both models. With fewer than two
    speakers, or any unknown, utterances are drawn instead; `resampled` records which.

    Args:
        first: shape (n_utterances,), whether the first model is right on each utterance: 0 or 1, or with several seeds
            the share of them that is right. McNemar's test then counts the utterances on which a share is higher.
        second: the same for the other model.
        groups: (n_utterances,) speakers; None, or None among them, where unknown.
        n_resamples: number of resamples.
        level: share of resamples inside the interval, in 0..1.
        seed: seed of the draws.

    Raises:
        ValueError: if the arrays do not fit each other or leave 0..1, or if n_resamples or level is out of range.

    Examples:
        >>> found = paired_difference([1, 1, 1, 0], [1, 0, 0, 0], ["a", "a", "b", "b"])
        >>> found.difference, found.interval, found.n_first_ahead, found.told_apart
        (0.5, (0.5, 0.5), 2, True)
    """
    a, b = (_check_rates(rates) for rates in (first, second))
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} utterances against {len(b)}; needed: the same utterances")
    ahead = a - b
    of = bootstrap.clusters(groups, len(ahead), alike=np.unique(ahead, return_inverse=True)[1])
    differences = bootstrap.resample_means(of, ahead, n_resamples, seed)
    n_first, n_second = int((ahead > 0).sum()), int((ahead < 0).sum())
    return PairedDifference(
        difference=float(ahead.mean()),
        interval=bootstrap.interval(differences, level),
        level=level,
        resampled=of.resampled,
        n_resampled=of.n_drawn,
        n_utterances=len(ahead),
        n_first_ahead=n_first,
        n_second_ahead=n_second,
        p_value=mcnemar_p_value(n_first, n_second),
    )


def _check_rates(rates: npt.ArrayLike) -> Rates:
    array: Rates = np.asarray(rates, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"rates have the shape {array.shape}; needed: (n_utterances,), at least one")
    if not ((array >= 0) & (array <= 1)).all():  # in this form NaN is refused too
        raise ValueError("a rate lies outside 0..1")
    return array
