"""Classify clips of any length with a network, in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocatcher.features.padding import pad_batch

_BATCH = 96  # clips


def classify(
    network: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    clips: Sequence[NDArray[np.float32]],
    n_steps: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    n_answers: int,
    device: str,
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Return answers (n_clips, n_answers) and attention, one array (n_frames',) per clip.

    Args:
        network: from a batch (batch, n_channels, n_frames) and its lengths (batch,) to answers and attention.
        clips: each of shape (n_channels, n_frames).
        n_steps: from lengths in frames to lengths of the attention.
        n_answers: number of emotions, and of dimensions if there are some.
        device: the network's.
    """
    # Sorted by length, which leaves little padding.
    order = np.argsort([clip.shape[1] for clip in clips], kind="stable")
    answers = np.empty((len(order), n_answers), np.float32)
    attention: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(order)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            channels, lengths = pad_batch([clips[i] for i in batch])
            found, weights = network(torch.from_numpy(channels).to(device), torch.from_numpy(lengths).to(device))
            answers[batch] = found.cpu().numpy()
            for i, row, n in zip(batch, weights.cpu().numpy(), n_steps(lengths), strict=True):
                attention[i] = row[:n]
    return answers, attention
