"""Cross-entropy with smoothed labels."""

from __future__ import annotations

import pytest
import torch

from emocatcher.training.loss import smoothed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.75])
def test_the_other_classes_share_the_smoothing_evenly(smoothing: float) -> None:
    logits, true = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 3, 0])
    target = torch.full((6, 4), smoothing / 3)
    target[torch.arange(6), true] = 1.0 - smoothing
    expected = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(smoothed_cross_entropy(logits, true, smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_shares_of_the_classes_give_the_mean_loss_of_these_classes(smoothing: float) -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    shares = torch.tensor(
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.25] * 4, [0.0, 0.2, 0.8, 0.0], [1.0, 0, 0, 0]]
    )
    of_class = [
        torch.stack([smoothed_cross_entropy(row[None], torch.tensor([c]), smoothing) for c in range(4)])
        for row in logits
    ]
    expected = torch.stack([weights @ losses for weights, losses in zip(shares, of_class, strict=True)]).mean()
    torch.testing.assert_close(smoothed_cross_entropy(logits, shares, smoothing), expected)
