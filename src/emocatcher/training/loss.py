"""The losses of training: of the emotion, and of dimensions such as arousal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["concordance_loss", "smoothed_cross_entropy"]

_SMALLEST = 1e-8  # added to the denominator: equal answers to equal ratings must not divide by 0


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


def concordance_loss(outputs: Tensor, ratings: Tensor) -> Tensor:
    """Compute 1 minus the concordance correlation coefficient (Lin 1989, doi:10.2307/2532051), from 0 to 2.

    The coefficient is that of the batch, of the utterances that are rated, and the loss is the mean over the dimensions
    with two of them or more; it is 0 if there is none.

    Args:
        outputs: shape (n_utterances, n_dimensions), float32.
        ratings: the same shape and units; NaN where there is none.

    Returns:
        a scalar.

    >>> ratings = torch.tensor([[-1.0], [0.0], [torch.nan], [1.0]])
    >>> concordance_loss(torch.tensor([[-1.0], [0.0], [9.0], [1.0]]), ratings).item()
    0.0
    >>> round(concordance_loss(torch.tensor([[-0.5], [0.0], [9.0], [0.5]]), ratings).item(), 4)
    0.2
    """
    is_rated = ~ratings.isnan()
    ratings, count = ratings.nan_to_num(), is_rated.sum(dim=0)  # NaN, even where it is masked, makes the gradient NaN

    def mean(values: Tensor) -> Tensor:
        return torch.where(is_rated, values, 0.0).sum(dim=0) / count.clamp_min(1)

    answered, true = mean(outputs), mean(ratings)
    covariance = mean((outputs - answered) * (ratings - true))
    spread = mean((outputs - answered).square()) + mean((ratings - true).square())
    concordance = 2.0 * covariance / (spread + (answered - true).square() + _SMALLEST)
    is_used = count >= 2
    return torch.where(is_used, 1.0 - concordance, 0.0).sum() / is_used.sum().clamp_min(1)
