"""The convolution block against PyTorch's own layers; its dropout."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from emocatcher.models.networks.convolution import ConvolutionBlock


def end_to_end(lengths: list[int], n_in: int, gap: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Clips, the same as rows with zeros between, and which rows are a clip's."""
    clips = [torch.randn(n, n_in) for n in lengths]
    rows = torch.cat([functional.pad(clip, (0, 0, 0, gap)) for clip in clips])
    is_clip = torch.cat([functional.pad(torch.ones(n, 1), (0, 0, 0, gap)) for n in lengths])
    return clips, rows, is_clip


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_each_clip_is_convolved_as_if_alone(kernel_size: int) -> None:
    lengths = [5, 1, 9]
    clips, rows, is_clip = end_to_end(lengths, 4, gap=max(kernel_size // 2, 1))
    block = ConvolutionBlock(4, 6, kernel_size, dropout=0.0)
    rows.requires_grad_()
    outcome = block(rows, is_clip)
    parameters = list(block.parameters())
    gradients = torch.autograd.grad(outcome.square().sum(), parameters)
    expected = []
    for clip in clips:
        convolved = functional.conv1d(clip.T[None], block.conv.weight, block.conv.bias, padding="same")[0].T
        expected.append(functional.gelu(functional.layer_norm(convolved, (6,), block.norm.weight, block.norm.bias)))
    torch.testing.assert_close(outcome[is_clip[:, 0] == 1], torch.cat(expected), atol=1e-5, rtol=1e-4)
    assert outcome[is_clip[:, 0] == 0].abs().sum() == 0
    plain = torch.autograd.grad(torch.cat(expected).square().sum(), parameters)
    for actual, wanted in zip(gradients, plain, strict=True):
        torch.testing.assert_close(actual, wanted, atol=1e-4, rtol=1e-3)


def test_its_gradients_are_slopes() -> None:
    _, rows, is_clip = end_to_end([3, 1], 2, gap=1)
    block = ConvolutionBlock(2, 3, 3, dropout=0.0).double()
    names, parameters = zip(*block.named_parameters(), strict=True)

    def run(rows: Tensor, *values: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(block, dict(zip(names, values, strict=True)), (rows, is_clip))
        return result

    inputs = (rows.double().requires_grad_(), *(parameter.detach().requires_grad_() for parameter in parameters))
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_dropout_zeroes_its_share_and_scales_the_rest(share: float) -> None:
    _, rows, is_clip = end_to_end([400, 1, 600], 8, gap=1)
    block = ConvolutionBlock(8, 64, 3, dropout=share)
    kept = block.eval()(rows, is_clip).detach()
    dropped = block.train()(rows, is_clip).detach()
    assert dropped[is_clip[:, 0] == 0].abs().sum() == 0
    there = kept != 0
    ratio = dropped[there] / kept[there]
    scaled = ratio[ratio != 0]
    torch.testing.assert_close(scaled, torch.full_like(scaled, 1 / (1 - share)), atol=1e-4, rtol=1e-4)
    n = ratio.numel()
    assert float((ratio == 0).float().mean()) == pytest.approx(share, abs=5 * (share * (1 - share) / n) ** 0.5)


def test_dropout_hits_every_channel_and_frame_alike_and_anew() -> None:
    _, rows, is_clip = end_to_end([500], 8, gap=1)
    block = ConvolutionBlock(8, 50, 3, dropout=0.2).train()
    gone = block(rows, is_clip)[:500] == 0
    again = block(rows, is_clip)[:500] == 0
    assert gone.float().mean(dim=0) == pytest.approx(0.2, abs=0.1)
    assert gone.float().mean(dim=1) == pytest.approx(0.2, abs=0.3)
    # Independent draws agree on a zero in 4 of 100 places.
    assert float((gone & again).float().mean()) == pytest.approx(0.04, abs=0.01)
