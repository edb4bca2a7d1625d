"""Pad clips of unequal length into one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pad_batch(clips: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Stack clips of unequal length into one zero-padded batch.

    Args:
        clips: one array of shape (n_channels, n_frames) per clip; `n_channels` must agree, `n_frames` may differ.

    Returns:
        channels: shape (batch, n_channels, max_frames), float32.
        lengths: shape (batch,), int64, valid frames per clip.

    Raises:
        ValueError: if the list is empty or `n_channels` differs.

    Examples:
        >>> channels, lengths = pad_batch([np.ones((64, 3), np.float32), np.ones((64, 5), np.float32)])
        >>> channels.shape, lengths.tolist()
        ((2, 64, 5), [3, 5])
    """
    if len({len(clip) for clip in clips}) != 1:
        raise ValueError(f"all clips need the same number of channels; these have {sorted({len(x) for x in clips})}")
    lengths = np.array([clip.shape[1] for clip in clips], np.int64)
    batch = np.zeros((len(clips), len(clips[0]), lengths.max()), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[:, : clip.shape[1]] = clip
    return batch, lengths
