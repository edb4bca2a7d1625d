"""What training lowers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["smoothed_cross_entropy"]


def smoothed_cross_entropy(logits: Tensor, true: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy, in nats, of which the true class has 1 - smoothing and all others share the rest evenly.

    Args:
        logits: float32 (n_utterances, n_classes).
        true: int64 (n_utterances,), class indices.
        smoothing: the others' share together, 0..1 - 1/n_classes.

    Returns:
        A scalar (Szegedy et al. 2016, who spread the share over all classes, the true one too).

    >>> import torch
    >>> certain = torch.tensor([[0.9, 0.05, 0.05]]).log()
    >>> round(smoothed_cross_entropy(certain, torch.tensor([0]), 0.1).item(), 4)  # the entropy: it can be no lower
    0.3944
    """
    n_classes = logits.shape[1]
    # PyTorch spreads the smoothing over all classes, the true one too; ours gives it to the others alone.
    return functional.cross_entropy(logits, true, label_smoothing=smoothing * n_classes / max(n_classes - 1, 1))
