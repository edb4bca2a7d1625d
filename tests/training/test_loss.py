"""Cross-entropy with smoothed labels, and the loss of dimensions."""

from __future__ import annotations

import pytest
import torch

from emocatcher.evaluation.scoring.concordance import concordance_score
from emocatcher.training.loss import concordance_loss, smoothed_cross_entropy


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


def test_the_loss_of_dimensions_is_their_mean_distance_from_full_concordance() -> None:
    outputs, ratings = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    ratings[2:5, 1] = torch.nan
    ratings[1:, 2] = torch.nan  # one rating is too few
    rated = ~ratings[:, 1].isnan()
    scores = concordance_score(ratings[:, 0], outputs[:, 0]), concordance_score(ratings[rated, 1], outputs[rated, 1])
    assert concordance_loss(outputs, ratings).item() == pytest.approx(1.0 - sum(scores) / 2, abs=1e-6)


@pytest.mark.parametrize("ratings", [[torch.nan] * 4, [0.5, torch.nan, torch.nan, torch.nan], [0.5] * 4])
@pytest.mark.parametrize("outputs", [[0.5] * 4, [1.0, 2.0, 3.0, 4.0]])
def test_batches_without_anything_to_learn_have_a_finite_loss_and_gradient(
    ratings: list[float], outputs: list[float]
) -> None:
    answered = torch.tensor(outputs)[:, None].requires_grad_()
    loss = concordance_loss(answered, torch.tensor(ratings)[:, None])
    (gradient,) = torch.autograd.grad(loss, answered)
    assert loss.isfinite()
    assert gradient.isfinite().all()
