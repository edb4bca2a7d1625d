"""Clips of unequal length → one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pad_batch(log_mels: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Stack utterances of unequal length into one zero-padded batch.

    Args:
        log_mels: one array of shape (n_mels, n_frames) per utterance, in dB; `n_mels` must agree, `n_frames` may
            differ.

    Returns:
        log_mel: shape (batch, n_mels, max_frames), float32.
        lengths: shape (batch,), int64, valid frames per utterance.

    Raises:
        ValueError: if the list is empty or `n_mels` differs.

    Examples:
        >>> log_mel, lengths = pad_batch([np.ones((64, 3), np.float32), np.ones((64, 5), np.float32)])
        >>> log_mel.shape, lengths.tolist()
        ((2, 64, 5), [3, 5])
    """
    if len({len(log_mel) for log_mel in log_mels}) != 1:
        raise ValueError(f"one number of mel bands is needed, these have {sorted({len(x) for x in log_mels})}")
    lengths = np.array([log_mel.shape[1] for log_mel in log_mels], np.int64)
    batch = np.zeros((len(log_mels), len(log_mels[0]), lengths.max()), np.float32)
    for row, log_mel in zip(batch, log_mels, strict=True):
        row[:, : log_mel.shape[1]] = log_mel
    return batch, lengths
