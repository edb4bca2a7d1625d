"""Dimensions of emotion, such as arousal, each with the range of its ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

NAMES = ("arousal", "valence", "dominance")  # in the order of the model's outputs

Values: TypeAlias = NDArray[np.floating[Any]]
_LARGEST = 1e9  # bound of a range, so that 32-bit numbers can express its parts


class Dimension(msgspec.Struct, frozen=True):
    """One dimension, and the lowest and the highest rating.

    Raises:
        ValueError: if it is none of `NAMES`, `low` is not below `high`, or one of them is too large.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"'{self.name}' is not a dimension. Allowed: {', '.join(NAMES)}")
        if not -_LARGEST <= self.low < self.high <= _LARGEST:  # also refuses NaN
            raise ValueError(
                f"{self.name} goes from {self.low:g} to {self.high:g}. Give the smaller bound first, and none beyond "
                f"{_LARGEST:g}"
            )


def check(dimensions: Sequence[Dimension]) -> None:
    """Check that no dimension is there twice.

    Raises:
        ValueError: if one is.
    """
    names = [one.name for one in dimensions]
    if len(set(names)) < len(names):
        raise ValueError(f"two of the dimensions {', '.join(names)} are the same")


def scaled(ratings: Values, dimensions: Sequence[Dimension]) -> NDArray[np.float64]:
    """Convert ratings to what a network learns, -1 to 1.

    Args:
        ratings: shape (n_utterances, n_dimensions); NaN where there is none.
        dimensions: the range of each column.

    Examples:
        >>> scaled(np.array([[1.0], [4.0], [7.0]]), [Dimension("arousal", 1, 7)]).ravel().tolist()
        [-1.0, 0.0, 1.0]
    """
    low, high = _bounds(dimensions)
    return np.asarray((np.asarray(ratings, np.float64) - (low + high) / 2.0) / ((high - low) / 2.0))


def unscaled(outputs: Values, dimensions: Sequence[Dimension]) -> NDArray[np.float64]:
    """Convert what a network returns to ratings within their range; the inverse of `scaled` there.

    Args:
        outputs: shape (n_utterances, n_dimensions).
        dimensions: the range of each column.

    Examples:
        >>> unscaled(np.array([[-1.5], [0.5]]), [Dimension("arousal", 1, 7)]).ravel().tolist()
        [1.0, 5.5]
    """
    low, high = _bounds(dimensions)
    return np.clip(np.asarray(outputs, np.float64) * ((high - low) / 2.0) + (low + high) / 2.0, low, high)


def _bounds(dimensions: Sequence[Dimension]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = (np.array([getattr(one, bound) for one in dimensions], np.float64) for bound in ("low", "high"))
    return low, high
