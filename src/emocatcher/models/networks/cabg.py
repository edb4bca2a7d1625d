"""The published network of the preset `cabg`: channels, lengths → logits, attention.

The clips of a batch are laid end to end as rows of one matrix, with a few rows of zeros between them. A convolution
at the edge of a clip therefore reads zeros, as if the clip stood alone, and no time is spent on padding. The result
for a clip does not depend on the other clips of its batch.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emocatcher.foundation.settings import NORM_EPSILON, CABGNetwork, FrontEnd
from emocatcher.models.networks.convolution import ConvolutionBlock, Dropout, RowPooling
from emocatcher.models.networks.emotion_network import EmotionNetwork, outputs
from emocatcher.models.networks.recurrent import BidirectionalGRU, Packing


class CABGModule(EmotionNetwork):
    """Convolutional attention-based bidirectional GRU ("CABG", Kim Seonju 2023).

    Args:
        settings: the sizes.
        front_end: it computes the input.
        n_classes: number of emotions.
        n_dimensions: number of dimensions.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> settings = load_preset("cabg")
        >>> network = CABGModule(settings.network, settings.front_end, n_classes=8).eval()
        >>> sum(parameter.numel() for parameter in network.parameters())
        166729
        >>> logits, attention = network(torch.zeros(2, 64, 30), torch.tensor([30, 17]))
        >>> logits.shape, attention.shape
        (torch.Size([2, 8]), torch.Size([2, 15]))
    """

    def __init__(self, settings: CABGNetwork, front_end: FrontEnd, n_classes: int, n_dimensions: int = 0) -> None:
        super().__init__()
        channels = (front_end.n_channels, *settings.conv_channels)
        width = 2 * settings.gru_units
        self.pool_size = settings.pool_size
        # Zero rows between clips: as far as a convolution, or a pool that is longer than its clip, reaches beyond one.
        self.gap = max(settings.kernel_size // 2, settings.pool_size - 1)
        self.blocks = nn.ModuleList(
            ConvolutionBlock(n_in, n_out, settings.kernel_size, settings.conv_dropout)
            for n_in, n_out in itertools.pairwise(channels)
        )
        self.norm = nn.LayerNorm(channels[-1], eps=NORM_EPSILON)
        self.gru = BidirectionalGRU(channels[-1], settings.gru_units)
        self.attention = BahdanauAttention(width)
        self.hidden = nn.Linear(width, settings.classifier_units)
        self.hidden_norm = nn.BatchNorm1d(settings.classifier_units, eps=NORM_EPSILON)
        self.hidden_dropout = Dropout(settings.classifier_dropout)
        self.output = nn.Linear(settings.classifier_units, n_classes)
        self.dimensions = nn.Linear(settings.classifier_units, n_dimensions) if n_dimensions else None
        self._initialise()

    def answers(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `EmotionNetwork.answers`; there is one branch."""
        layout = _Layout(lengths.cpu().numpy(), self.gap, self.pool_size, prepared.device)
        valid = torch.arange(prepared.shape[2], device=prepared.device) < lengths[:, None]
        rows = prepared.new_zeros(layout.n_rows, prepared.shape[1])
        rows[layout.clip_rows] = prepared.transpose(1, 2)[valid]
        for block in self.blocks:
            rows = block(rows, layout.is_clip)
        pooled: Tensor = RowPooling.apply(rows, layout.pool_members)  # type: ignore[no-untyped-call]
        steps, final = self.gru(self.norm(pooled), layout.packing)
        context, weights = self.attention(final, steps, layout.owners)
        context, attention = context[layout.places], weights.new_zeros(len(lengths), len(layout.packing.sizes))
        attention[layout.clip, layout.step] = weights
        hidden = self.hidden_dropout(functional.gelu(self.hidden_norm(self.hidden(context))))
        return outputs(hidden, self.output, self.dimensions).unsqueeze(0), attention

    def _initialise(self) -> None:
        """The published initialisation: Kaiming normal with biases of 0, except for the GRU and the attention."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, parameter in self.gru.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)
        for projection in (self.attention.query, self.attention.key):
            nn.init.xavier_uniform_(projection.weight)


class BahdanauAttention(nn.Module):
    """Additive attention (Bahdanau et al. 2015): a weight for each step, given a query."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, query: Tensor, keys: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the keys and sum them.

        Args:
            query: shape (batch, width).
            keys: shape (n_rows, width), of all clips; also the values.
            owners: shape (batch, n_rows), bool, whether a row belongs to a clip.

        Returns:
            context: shape (batch, width).
            attention: shape (n_rows,), sums to 1 over a clip's rows.
        """
        # tanh(x) = 2 sigmoid(2x) - 1, and PyTorch's sigmoid takes a quarter of the time of its tanh. The -1 shifts all
        # scores equally, so it does not change the softmax.
        query_rows = owners.T.view(torch.uint8).to(keys.dtype) @ self.query(query)
        match = torch.sigmoid(2.0 * (self.key(keys) + query_rows))
        scores = 2.0 * self.score(match).T
        weights = torch.softmax(scores.masked_fill(~owners, -torch.inf), dim=1)
        return weights @ keys, weights.sum(0)


class _Layout:
    """The row of every frame of a batch when its clips are laid end to end."""

    def __init__(self, lengths: np.ndarray, gap: int, pool_size: int, device: torch.device) -> None:
        starts = np.cumsum(lengths + gap) - (lengths + gap)
        pooled = np.maximum(lengths // pool_size, 1)
        self.n_rows = int((lengths + gap).sum())
        self.clip_rows = torch.from_numpy(_runs(starts, lengths)).to(device)
        self.is_clip = torch.zeros(self.n_rows, 1, device=device)
        self.is_clip[self.clip_rows] = 1.0
        # After pooling, rows are steps instead of frames, in the order that the GRU needs.
        self.packing = Packing(pooled, device)
        clip, step = self.packing.order[self.packing.place], self.packing.step
        self.clip, self.step = torch.from_numpy(clip).to(device), torch.from_numpy(step).to(device)
        members = (starts[clip] + step * pool_size)[:, None] + np.arange(pool_size)
        self.pool_members = torch.from_numpy(members).to(device)
        self.owners = torch.from_numpy(np.equal.outer(np.arange(len(pooled)), self.packing.place)).to(device)
        self.places = torch.from_numpy(np.argsort(self.packing.order)).to(device)


def _runs(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """start, start + 1, …: `counts` numbers for each start, concatenated."""
    position = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(starts, counts) + position)
