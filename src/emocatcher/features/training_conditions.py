"""Statistics of the training recordings, to detect a recording that is unlike them.

They are the mean and the spread of a few numbers per clip (`summary`), and the distance that
training clips have from the mean: Mahalanobis' distance (1936), with the covariance shrunk towards its diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.features import speech_gate
from emocatcher.features.matrix_products import multiply
from emocatcher.foundation.errors import ModelError

_SHRINKAGE = 0.02  # of the correlations; a thousand clips do not determine them more exactly
_QUANTILE = 0.99  # share of the training clips within the limit before the slack
_SLACK = 1.15  # factor on the limit, because unseen speakers are somewhat farther from the mean


_Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class Conditions(msgspec.Struct, frozen=True):
    """Statistics of a model's training recordings; part of its `config.json`."""

    longest_voiced_s: float
    mean: tuple[_Number, ...]  # (n_numbers,)
    scale: tuple[Annotated[float, msgspec.Meta(ge=1e-6, le=1e9)], ...]  # (n_numbers,), standard deviations
    precision: tuple[tuple[_Number, ...], ...]  # (n_numbers, n_numbers), of the scaled numbers
    limit: float  # a distance

    def __post_init__(self) -> None:
        n_numbers = len(self.mean)
        if {len(self.scale), len(self.precision), *map(len, self.precision)} != {n_numbers}:
            raise ValueError(f"conditions need {n_numbers} scales, and a square of precisions of that size")


class Judge:
    """Compares recordings with a model's training recordings.

    Args:
        conditions: statistics of the training recordings.
    """

    def __init__(self, conditions: Conditions) -> None:
        self.longest_voiced_s = conditions.longest_voiced_s
        self._limit = conditions.limit
        self._mean, self._scale = np.asarray(conditions.mean), np.asarray(conditions.scale)
        self._precision = np.asarray(conditions.precision)

    def distance(self, log_mel: NDArray[np.float32]) -> float:
        """Return how many standard deviations a voiced span, (n_mels, n_frames), dB, is from the training mean."""
        numbers = _numbers(log_mel)
        if len(numbers) != len(self._mean):
            raise ModelError(
                f"The model's training conditions have {len(self._mean)} numbers; {len(numbers)} are needed. "
                "Copy the model folder again"
            )
        scaled = (numbers - self._mean) / self._scale
        return float(np.sqrt(max(scaled @ self._precision @ scaled, 0.0) / len(scaled)))

    def outside(self, log_mel: NDArray[np.float32]) -> bool:
        """Return whether a voiced span, shape (n_mels, n_frames), dB, is unlike the training recordings."""
        return self.distance(log_mel) > self._limit


def fit(log_mels: Sequence[NDArray[np.float32]], frame_period_s: float) -> Conditions:
    """Compute the statistics of a training part.

    Args:
        log_mels: the clips' voiced spans, shape (n_mels, n_frames) each, dB.
        frame_period_s: time from one frame to the next, seconds.

    Raises:
        ValueError: if there are fewer than two clips.
    """
    if len(log_mels) < 2:
        raise ValueError(f"{len(log_mels)} clips; at least two are needed for a spread")
    numbers = np.stack([_numbers(log_mel) for log_mel in log_mels])
    mean, scale = numbers.mean(axis=0), np.maximum(numbers.std(axis=0), 1e-3)
    scaled = (numbers - mean) / scale
    correlations = (1.0 - _SHRINKAGE) * (scaled.T @ scaled) / len(scaled)
    np.fill_diagonal(correlations, 1.0)
    found = Conditions(
        longest_voiced_s=round(max(log_mel.shape[1] for log_mel in log_mels) * frame_period_s, 6),
        mean=_rounded(mean),
        scale=_rounded(scale),
        precision=tuple(map(_rounded, np.linalg.inv(correlations))),
        limit=0.0,
    )
    judge = Judge(found)
    distances = [judge.distance(log_mel) for log_mel in log_mels]
    return msgspec.structs.replace(found, limit=round(_SLACK * float(np.quantile(distances, _QUANTILE)), 4))


def _numbers(log_mel: NDArray[np.float32]) -> NDArray[np.float64]:
    return summary(log_mel, speech_gate.loudness_db(log_mel)).astype(np.float64)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)


def summary(log_mel: NDArray[np.float32], loudness: NDArray[np.float32]) -> NDArray[np.float32]:
    """A clip in a few numbers: the shape of the spectrum, how much and how fast it varies, and the same for loudness.

    They do not depend on the level of the recording.

    Args:
        log_mel: shape (n_mels, n_frames), dB.
        loudness: its `speech_gate.loudness_db`.

    Returns:
        shape (3 * N_CEPSTRA + 3,): of the active frames' cepstrum the mean (without the first, the level), the
        standard deviation and the mean step from frame to frame; of the loudness the mean, the standard deviation and
        the mean step; and the share of active frames.
    """
    cepstra = multiply(log_mel.T, speech_gate.cosines(len(log_mel)).T).T
    active = loudness > speech_gate.ACTIVE_DB
    steady = active[1:] & active[:-1]
    steps = np.abs(np.diff(cepstra, axis=1))[:, steady]
    kept = cepstra[:, active]
    loudness_step = np.abs(np.diff(loudness)).mean() if len(loudness) > 1 else 0.0
    return np.concatenate(
        [
            kept.mean(axis=1)[1:],
            kept.std(axis=1),
            steps.mean(axis=1) if steps.shape[1] else np.zeros(speech_gate.N_CEPSTRA, np.float32),
            np.array([loudness.mean(), loudness.std(), loudness_step, active.mean()], np.float32),
        ]
    )
