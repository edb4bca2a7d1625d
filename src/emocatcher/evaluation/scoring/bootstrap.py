"""The cluster bootstrap: how far a score could move if other speakers had been recorded.

The utterances of a speaker succeed and fail together, so whole speakers are drawn with replacement; drawing utterances
would claim more evidence than there is (Field & Welsh 2007, "Bootstrapping clustered data"; Ferrer & Riera, "Confidence
intervals for evaluation in machine learning"). A statistic is computed from how often each cluster was drawn, which
makes it a matrix product for all resamples at once. Statistics of several models that are computed from the same counts
use the same draws, so that their difference is a paired one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float64]

LEVEL = 0.95  # share of the resamples that an interval holds
N_RESAMPLES = 2000
_MOST_COUNTS = 2**24  # of clusters times resamples, in memory at once (128 MiB)


class Clusters(NamedTuple):
    """What is drawn from some utterances."""

    resampled: Literal["speakers", "utterances"]
    n_drawn: int  # per resample: as many as there are
    shares: Rates  # (n_clusters,), the probability of each at every draw
    rows: Counts  # (n_rows,), the utterances that the clusters consist of
    cluster: Counts  # (n_rows,), the cluster of each of these

    def totals(self, values: npt.ArrayLike) -> Rates:
        """Sum values over each cluster: what a draw of the cluster adds to a resample.

        Args:
            values: shape (n_utterances,) or (n_utterances, n_values).

        Returns:
            shape (n_clusters,) or (n_clusters, n_values), float64.
        """
        of_rows = np.asarray(values)[self.rows]
        n_clusters = len(self.shares)
        sums = [
            np.bincount(self.cluster, weights=column, minlength=n_clusters).astype(np.float64, copy=False)
            for column in np.atleast_2d(of_rows.T)
        ]
        return np.stack(sums, axis=1) if of_rows.ndim > 1 else sums[0]


def clusters(
    speakers: Sequence[str | None] | npt.NDArray[Any] | None,
    n_utterances: int,
    *,
    alike: Counts | None = None,
    n_alike: int | None = None,
) -> Clusters:
    """Group utterances by speaker; with fewer than two speakers, or any unknown, each utterance is a cluster.

    Args:
        speakers: (n_utterances,) speakers; None, or None among them, where unknown.
        n_utterances: how many utterances there are.
        alike: shape (n_utterances,), whole numbers from 0 on; utterances of the same number have the same values.
            Where utterances are drawn, these few numbers are drawn instead, by how often they occur, which gives the
            same distribution and is much faster.
        n_alike: how many numbers there may be; None for the highest that occurs, plus one.

    Raises:
        ValueError: if there is not one speaker for each utterance, or there is no utterance.

    Examples:
        >>> clusters(["b", "a", "b"], 3).totals([1.0, 2.0, 4.0]).tolist()
        [2.0, 5.0]
        >>> clusters(None, 3).totals([1.0, 2.0, 4.0]).tolist()
        [1.0, 2.0, 4.0]
    """
    if n_utterances < 1:
        raise ValueError(f"{n_utterances} utterances; at least one is needed")
    if speakers is not None and len(speakers) != n_utterances:
        raise ValueError(f"{len(speakers)} groups for {n_utterances} utterances; needed: one each")
    known = [] if speakers is None or any(speaker is None for speaker in speakers) else list(speakers)
    names, speaker = np.unique(np.asarray(known), return_inverse=True)
    every = np.arange(n_utterances)
    if len(names) >= 2:
        return Clusters("speakers", len(names), np.full(len(names), 1 / len(names)), every, speaker)
    if alike is None:
        return Clusters("utterances", n_utterances, np.full(n_utterances, 1 / n_utterances), every, every)
    shares = np.bincount(alike, minlength=n_alike or 0) / n_utterances
    numbers, first = np.unique(alike, return_index=True)
    return Clusters("utterances", n_utterances, shares, first, numbers)


def resample(of: Clusters, statistic: Callable[[Rates], Rates], n_resamples: int = N_RESAMPLES, seed: int = 0) -> Rates:
    """Draw clusters with replacement, as many as there are, and compute a statistic of every resample.

    Args:
        of: the clusters.
        statistic: from how often each cluster was drawn, shape (n, n_clusters), float64, to the values of these n
            resamples, shape (n, ...). A sum over a resample is `times_drawn @ clusters.totals(values)`.
        n_resamples: how many resamples.
        seed: of the draws; the same clusters and seed give the same draws.

    Returns:
        shape (n_resamples, ...).

    Raises:
        ValueError: if n_resamples is below 1.

    Examples:
        >>> of = clusters(["a", "a", "b"], 3)
        >>> sorted(set(resample(of, lambda times_drawn: times_drawn @ of.totals([1, 1, 1])).tolist()))
        [2.0, 3.0, 4.0]
    """
    if n_resamples < 1:
        raise ValueError(f"n_resamples {n_resamples}; needed: at least 1")
    random, at_once = np.random.default_rng(seed), max(_MOST_COUNTS // len(of.shares), 1)
    sizes = [min(at_once, n_resamples - start) for start in range(0, n_resamples, at_once)]
    # In float64, which BLAS multiplies; sums of whole numbers stay exact below 2**53.
    drawn = (random.multinomial(of.n_drawn, of.shares, size=size).astype(np.float64) for size in sizes)
    return np.concatenate([statistic(times_drawn) for times_drawn in drawn])


def resample_means(of: Clusters, values: npt.ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Rates:
    """Compute the mean over the utterances of every resample; for two models, pass their differences.

    Args:
        of: the clusters.
        values: shape (n_utterances,) or (n_utterances, n_values).
        n_resamples: how many resamples.
        seed: of the draws.

    Returns:
        shape (n_resamples,) or (n_resamples, n_values).

    Raises:
        ValueError: if n_resamples is below 1.
    """
    sums = of.totals(values)
    counts = of.totals(np.ones(len(np.asarray(values))))

    def means(times_drawn: Rates) -> Rates:
        return np.asarray(((times_drawn @ sums).T / (times_drawn @ counts)).T, np.float64)

    return resample(of, means, n_resamples, seed)


def interval(values: Rates, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of a statistic.

    Args:
        values: shape (n_resamples,), the statistic of every resample.
        level: the share of resamples inside the interval, in 0..1.

    Raises:
        ValueError: if level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}; needed: between 0 and 1")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
