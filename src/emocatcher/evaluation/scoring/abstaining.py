"""Abstaining: how accuracy rises when the least confident answers are withheld. Pure functions of confidence and truth.

An answer is given if its confidence reaches a threshold. The share of answers given is the coverage; the share of these
that is wrong is the risk (El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rates = npt.NDArray[np.float64]


class RiskCoverage(NamedTuple):
    """The reachable points, from only the most confident answers to all answers."""

    threshold: Rates  # (n_points,), falling: answers of at least this confidence are given
    coverage: Rates  # (n_points,), rising to 1
    accuracy: Rates  # (n_points,), accuracy of the answers given: 1 - risk


def risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> RiskCoverage:
    """The risk-coverage curve; answers of equal confidence are given together or not at all.

    Args:
        confidence: shape (n_utterances,), the probability of each answer.
        right: shape (n_utterances,), whether each answer is right.

    Raises:
        ValueError: if the shapes differ or there is no utterance.

    Examples:
        >>> risk_coverage([0.9, 0.6, 0.6], [True, False, True]).accuracy.round(2).tolist()
        [1.0, 0.67]
    """
    sure, hit = _check(confidence, right)
    values, of = np.unique(-sure, return_inverse=True)
    n_given = np.cumsum(np.bincount(of))
    n_right = np.cumsum(np.bincount(of, weights=hit))
    return RiskCoverage(-values, n_given / len(sure), n_right / n_given)


def area_under_risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The mean risk over all coverages (AURC; Geifman, Uziel and El-Yaniv 2019, equation 3); lower is better.

    Answers of equal confidence count as the average over all their orders.

    Args:
        confidence: shape (n_utterances,), the probability of each answer.
        right: shape (n_utterances,), whether each answer is right.

    Raises:
        ValueError: if the shapes differ or there is no utterance.

    Examples:
        >>> area_under_risk_coverage([0.9, 0.8], [True, False]), area_under_risk_coverage([0.8, 0.9], [True, False])
        (0.25, 0.75)
    """
    sure, hit = _check(confidence, right)
    _, of = np.unique(-sure, return_inverse=True)
    wrong = np.bincount(of, weights=1 - hit) / np.bincount(of)
    return float((np.cumsum(wrong[np.sort(of)]) / np.arange(1, len(sure) + 1)).mean())


def smallest_threshold(confidence: npt.ArrayLike, right: npt.ArrayLike, least_accuracy: float) -> float | None:
    """The lowest threshold for which at least this share of the answers given is right.

    Args:
        confidence: shape (n_utterances,), the probability of each answer.
        right: shape (n_utterances,), whether each answer is right.
        least_accuracy: in 0..1.

    Returns:
        None if there is no such threshold.

    Raises:
        ValueError: if the shapes differ or there is no utterance.

    Examples:
        >>> smallest_threshold([0.9, 0.7, 0.6, 0.5], [True, True, False, False], 0.6)
        0.6
    """
    curve = risk_coverage(confidence, right)
    enough = np.flatnonzero(curve.accuracy >= least_accuracy)
    return float(curve.threshold[enough[-1]]) if enough.size else None


def _check(confidence: npt.ArrayLike, right: npt.ArrayLike) -> tuple[Rates, Rates]:
    sure, hit = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if sure.ndim != 1 or sure.shape != hit.shape or not sure.size:
        raise ValueError(f"confidence has the shape {sure.shape}, right {hit.shape}; needed: one length of at least 1")
    return sure, hit
