"""The convolution block of `cabg`, and the dropout of all networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emocatcher.foundation.settings import NORM_EPSILON


class ConvolutionBlock(nn.Module):
    """Conv1d ('same') → LayerNorm over channels → GELU → dropout, on clips laid end to end.

    Args:
        n_in: number of input channels.
        n_out: number of output channels.
        kernel_size: rows, odd.
        dropout: the share of values zeroed in training.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        # Holds the weights in the usual shape, (n_out, n_in, kernel_size), and initialises them.
        self.conv = nn.Conv1d(n_in, n_out, kernel_size, padding="same")
        self.norm = nn.LayerNorm(n_out, eps=NORM_EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, rows: Tensor, is_clip: Tensor) -> Tensor:
        """From (n_rows, n_in) to (n_rows, n_out); rows between clips are zeros again.

        Args:
            rows: the clips' frames, end to end, zeros between them.
            is_clip: shape (n_rows, 1), float32, 1 for a clip's frame and 0 between clips.
        """
        weight = self.conv.weight.transpose(1, 2).flatten(1)
        convolved: Tensor = _RowConvolution.apply(rows, weight, self.conv.bias)  # type: ignore[no-untyped-call]
        kept = self.dropout.draw(convolved)
        row_factor = is_clip if kept is None else is_clip * self.dropout.scale
        activated: Tensor = _GELU.apply(self.norm(convolved), kept, row_factor)  # type: ignore[no-untyped-call]
        return activated


class _RowConvolution(torch.autograd.Function):
    """A convolution over rows, as one matrix product over neighbouring rows.

    On a few hundred rows and a hundred channels this is faster than the general convolution, which rearranges its
    input.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """From rows (n_rows, n_in), weight (n_out, kernel_size · n_in) and bias to (n_rows, n_out)."""
        n_rows, n_in = rows.shape
        kernel_size = weight.shape[1] // n_in
        padded = functional.pad(rows, (0, 0, kernel_size // 2, kernel_size // 2))
        # A view, copied into a matrix only for the duration of the product, because memory is the bottleneck here.
        neighbours = padded.as_strided((n_rows, kernel_size * n_in), (n_in, 1))
        ctx.kernel_size = kernel_size
        ctx.save_for_backward(neighbours, weight)
        return torch.addmm(bias, neighbours.contiguous(), weight.T)

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
        return d_rows, d_output.T @ neighbours.contiguous(), d_output.sum(0)


class RowPooling(torch.autograd.Function):
    """The maximum over groups of rows, channel by channel."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, members: Tensor) -> Tensor:
        """From rows (n_rows, n) and row numbers (n_groups, group_size), no row twice, to (n_groups, n)."""
        values, *candidates = [rows.index_select(0, column) for column in members.unbind(1)]
        leads = []
        for candidate in candidates:
            leads.append(candidate - values)
            values = torch.maximum(values, candidate)
        ctx.n_rows = len(rows)
        ctx.save_for_backward(members, *leads)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient goes to the largest member of each group, to the first of several equal ones."""
        members, *leads = ctx.saved_tensors
        (left,) = gradients
        d_rows = left.new_zeros(ctx.n_rows, left.shape[1])
        first, *columns = members.unbind(1)
        for column, lead in zip(reversed(columns), reversed(leads), strict=True):
            won = torch.ops.aten.threshold_backward(left, lead, 0.0)  # where it exceeds all members before it
            d_rows.index_copy_(0, column, won)
            left = left - won
        return d_rows.index_copy_(0, first, left), None


class _GELU(torch.autograd.Function):
    """GELU, then zeros from dropout and between clips; it keeps only what the backward pass needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor | None, row_factor: Tensor) -> Tensor:
        """From x (n_rows, n), kept (n_rows, n) uint8 or None, and row_factor (n_rows, 1) to (n_rows, n)."""
        ctx.save_for_backward(x, kept, row_factor)
        return functional.gelu(x).mul_(_factor(x, kept, row_factor))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of x alone."""
        x, kept, row_factor = ctx.saved_tensors
        return torch.ops.aten.gelu_backward(gradients[0] * _factor(x, kept, row_factor), x), None, None


def _factor(x: Tensor, kept: Tensor | None, row_factor: Tensor) -> Tensor:
    return row_factor if kept is None else kept.to(x.dtype).mul_(row_factor)


class Dropout(nn.Module):
    """Dropout with a random generator of its own.

    PyTorch's dropout takes a tenth of a training step here, and draws from a global state that other code draws from
    too. A generator that is seeded from the epoch gives a resumed run the same noise as an uninterrupted one.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.scale = 1.0 / (1.0 - probability)
        self.bit_generator: np.random.BitGenerator = np.random.SFC64()

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of `x` in training, and scale the rest so that the mean stays the same."""
        kept = self.draw(x)
        return x if kept is None else x * kept.to(x.dtype).mul_(self.scale)

    def draw(self, x: Tensor) -> Tensor | None:
        """Which values of `x` to keep: 1 or 0 in its shape, uint8; None for all of them.

        uint8, because PyTorch converts bytes to floats many times faster than it converts booleans.
        """
        if not self.training or self.probability == 0.0:
            return None
        noise = self.bit_generator.random_raw(-(-x.numel() // 4)).view(np.uint16)[: x.numel()]
        kept = torch.from_numpy((noise >= round(self.probability * 65_536)).view(np.uint8)).view(x.shape)
        return kept.to(x.device)  # drawn by NumPy, so the same on every device
