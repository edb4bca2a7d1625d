"""The loss of training."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["smoothed_cross_entropy"]


def smoothed_cross_entropy(logits: Tensor, true: Tensor, smoothing: float) -> Tensor:
    """Compute the mean cross-entropy with label smoothing, in nats.

    The target of the true class is 1 - smoothing; the other classes share the smoothing evenly. Szegedy et al. (2016)
    spread it over all classes, the true one included. Targets that are shares are the mean of these over the classes.

    Args:
        logits: shape (n_utterances, n_classes), float32.
        true: shape (n_utterances,), int64, class indices; or (n_utterances, n_classes), float32, shares of the classes.
        smoothing: the share of all other classes together, 0 to 1 - 1/n_classes.

    Returns:
        a scalar.

    >>> import torch
    >>> certain = torch.tensor([[0.9, 0.05, 0.05]]).log()
    >>> round(smoothed_cross_entropy(certain, torch.tensor([0]), 0.1).item(), 4)  # the entropy, the lower bound
    0.3944
    """
    n_classes = logits.shape[1]
    # PyTorch spreads its smoothing over all classes, so a larger value gives the other classes their share.
    return functional.cross_entropy(logits, true, label_smoothing=smoothing * n_classes / max(n_classes - 1, 1))
