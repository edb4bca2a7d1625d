"""The convolution block, and the dropout that it and the classifier use."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvolutionBlock(nn.Module):
    """Conv1d ('same') → LayerNorm over channels → GELU → dropout, on clips laid end to end.

    Args:
        n_in: channels in.
        n_out: channels out.
        kernel_size: rows, odd.
        dropout: the share of values zeroed in training.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        # Holds the weights in the usual shape, (n_out, n_in, kernel_size), and initialises them.
        self.conv = nn.Conv1d(n_in, n_out, kernel_size, padding="same")
        self.norm = nn.LayerNorm(n_out)
        self.dropout = Dropout(dropout)

    def forward(self, rows: Tensor, is_clip: Tensor) -> Tensor:
        """From (n_rows, n_in) to (n_rows, n_out); rows between clips come out as zeros.

        Args:
            rows: the clips' frames, end to end, zeros between them.
            is_clip: shape (n_rows, 1), float32, 1 for a clip's frame and 0 between clips.
        """
        weight = self.conv.weight.transpose(1, 2).flatten(1)
        convolved: Tensor = _RowConvolution.apply(rows, weight, self.conv.bias)  # type: ignore[no-untyped-call]
        dropped: Tensor = self.dropout(functional.gelu(self.norm(convolved)), is_clip)
        return dropped


class _RowConvolution(torch.autograd.Function):
    """A convolution over rows as one matrix product over neighbouring rows.

    On a few hundred rows and a hundred channels this beats the general convolution, which rearranges its input.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """From rows (n_rows, n_in), weight (n_out, kernel_size · n_in) and bias to (n_rows, n_out)."""
        n_rows, n_in = rows.shape
        kernel_size = weight.shape[1] // n_in
        padded = functional.pad(rows, (0, 0, kernel_size // 2, kernel_size // 2))
        neighbours = padded.as_strided((n_rows, kernel_size * n_in), (n_in, 1)).contiguous()
        ctx.kernel_size = kernel_size
        ctx.save_for_backward(neighbours, weight)
        return torch.addmm(bias, neighbours, weight.T)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """The gradients of rows, weight and bias."""
        neighbours, weight = ctx.saved_tensors
        (d_output,) = gradients
        d_rows = None
        if ctx.needs_input_grad[0]:
            n_rows = len(d_output)
            reach = ctx.kernel_size // 2
            spread = (d_output @ weight).view(n_rows, ctx.kernel_size, -1)
            d_rows = spread[:, reach].clone()
            for offset in range(1, reach + 1):
                d_rows[offset:] += spread[:-offset, reach + offset]
                d_rows[:-offset] += spread[offset:, reach - offset]
        return d_rows, d_output.T @ neighbours, d_output.sum(0)


class RowPooling(torch.autograd.Function):
    """The maximum over groups of rows, channel by channel."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, members: Tensor) -> Tensor:
        """From rows (n_rows, n) and row numbers (n_groups, group_size), no row twice, to (n_groups, n)."""
        candidates = [rows.index_select(0, column) for column in members.unbind(1)]
        values = reduce(torch.maximum, candidates)
        ctx.n_rows = len(rows)
        ctx.save_for_backward(members, values, *candidates)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient goes to the winner, the first among equals."""
        members, values, *candidates = ctx.saved_tensors
        (left,) = gradients
        d_rows = left.new_zeros(ctx.n_rows, left.shape[1])
        for column, candidate in zip(members.unbind(1), candidates, strict=True):
            won = left * (candidate == values)
            d_rows.index_copy_(0, column, won)
            left = left - won
        return d_rows, None


class Dropout(nn.Module):
    """Dropout whose noise comes from a generator of its own.

    PyTorch's costs a tenth of a training step here, and draws from one global state that everything else draws from
    too. A generator that is seeded from the epoch makes a resumed run draw what an unbroken one would have drawn.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.bit_generator: np.random.BitGenerator = np.random.SFC64()

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Zero a share of `x` in training, and wherever `keep` (broadcast to `x`, 1 or 0) is 0."""
        if not self.training or self.probability == 0.0:
            return x if keep is None else x * keep
        scale = x.new_full((1, 1), 1.0 / (1.0 - self.probability)) if keep is None else keep / (1.0 - self.probability)
        noise = self.bit_generator.random_raw(-(-x.numel() // 4)).view(np.uint16)[: x.numel()]
        drawn = torch.from_numpy(noise >= round(self.probability * 65_536)).view(x.shape)
        return x * (drawn * scale)
