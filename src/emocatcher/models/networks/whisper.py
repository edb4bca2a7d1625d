"""The first layers of a Whisper encoder: log-mel spectrogram → states of each layer (Radford et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emocatcher.foundation.settings import Encoder


class WhisperEncoder(nn.Module):
    """Two convolutions, positions, and the first layers.

    Names of the weights are those of the published files below `model.encoder`.

    Args:
        sizes: of the encoder.
        n_mels: number of mel bands.
    """

    def __init__(self, sizes: Encoder, n_mels: int) -> None:
        super().__init__()
        self.width = sizes.width
        self.conv1 = nn.Conv1d(n_mels, sizes.width, 3, padding=1)
        self.conv2 = nn.Conv1d(sizes.width, sizes.width, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.n_layers))

    def forward(self, log_mel: Tensor, lengths: Tensor, longest: int = 0) -> tuple[list[Tensor], Tensor]:
        """Encode a batch of clips.

        Args:
            log_mel: shape (batch, n_mels, n_frames), as `scale` returns it; frames beyond a clip's length change
                nothing.
            lengths: shape (batch,), int64, valid frames, each at least 1.
            longest: a clip of more steps is encoded in equal pieces of at most so many: positions start again in each,
                and none attends to another. 0 for one piece.

        Returns:
            states: of each layer, shape (batch, n_steps, width), before any normalisation of the next layer;
                zero where not valid.
            mask: shape (batch, n_steps), True where valid; a clip has (n_frames + 1) // 2 steps.
        """
        mask = torch.arange(log_mel.shape[2], device=log_mel.device) < lengths[:, None]
        x = functional.gelu(self.conv1(log_mel * mask.unsqueeze(1))) * mask.unsqueeze(1)
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        mask = mask[:, ::2]
        piece, place = _pieces((lengths + 1) // 2, x.shape[1], longest or x.shape[1])
        x = x + positions(x.shape[1], self.width).to(x)[place]
        # Each piece is a row of a batch: a mask of all steps by all would grow with the square of a clip's length.
        n_pieces = piece.amax(dim=1) + 1
        row = (piece + (n_pieces.cumsum(0) - n_pieces).unsqueeze(1))[mask]
        step = place[mask]
        pieces = x.new_zeros(int(n_pieces.sum()), int(step.max()) + 1, self.width)
        pieces[row, step] = x[mask]
        valid = mask.new_zeros(pieces.shape[:2])
        valid[row, step] = True
        states = []
        for layer in self.layers:
            pieces = layer(pieces, valid)
            states.append(torch.zeros_like(x))
            states[-1][mask] = pieces[row, step]
        return states, mask


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each after a normalisation and added to its input."""

    def __init__(self, sizes: Encoder) -> None:
        super().__init__()
        self.self_attn = SelfAttention(sizes)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.width)
        self.fc1 = nn.Linear(sizes.width, sizes.hidden)
        self.fc2 = nn.Linear(sizes.hidden, sizes.width)
        self.final_layer_norm = nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """From (batch, n_steps, width) to the same; no step attends where `mask` (batch, n_steps) is False."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        output: Tensor = x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return output


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017); keys have no bias."""

    def __init__(self, sizes: Encoder) -> None:
        super().__init__()
        self.n_heads = sizes.n_heads
        self.q_proj = nn.Linear(sizes.width, sizes.width)
        self.k_proj = nn.Linear(sizes.width, sizes.width, bias=False)
        self.v_proj = nn.Linear(sizes.width, sizes.width)
        self.out_proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """From (batch, n_steps, width) to the same; no step attends where `mask` (batch, n_steps) is False."""
        parts = (part(x) for part in (self.q_proj, self.k_proj, self.v_proj))
        query, key, value = (part.unflatten(2, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        output: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return output


def _pieces(n_steps: Tensor, n_padded: int, longest: int) -> tuple[Tensor, Tensor]:
    """Return the piece of each step, and its place in it, both of shape (batch, n_padded).

    Steps beyond a clip's end belong to its last piece.
    """
    n_pieces = (n_steps + longest - 1) // longest
    size = ((n_steps + n_pieces - 1) // n_pieces).unsqueeze(1)
    steps = torch.arange(n_padded, device=n_steps.device)
    piece = torch.minimum(steps // size, n_pieces.unsqueeze(1) - 1)
    return piece, steps - piece * size


def load(encoder: WhisperEncoder, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Set the weights, by their names in the encoder."""
    encoder.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})


def scale(log_mel: Tensor, lengths: Tensor, loudest_db: float) -> Tensor:
    """From dB to the encoder's input, (log10 + 4) / 4, after a shift that gives all clips the same maximum.

    Args:
        log_mel: shape (batch, n_mels, n_frames), dB, at most 80 below the clip's maximum.
        lengths: shape (batch,), int64, valid frames, each at least 1.
        loudest_db: the maximum of each clip's valid frames after the shift.

    Returns:
        shape (batch, n_mels, n_frames).
    """
    beyond = torch.arange(log_mel.shape[2], device=log_mel.device) >= lengths[:, None]
    loudest = log_mel.masked_fill(beyond.unsqueeze(1), -torch.inf).amax(dim=(1, 2), keepdim=True)
    return (log_mel - loudest + loudest_db) / 40.0 + 1.0


def positions(n_steps: int, width: int) -> Tensor:
    """Sines and cosines of the step at wavelengths from 2π to 20,000π, shape (n_steps, width)."""
    rates = torch.exp(-math.log(10_000.0) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(n_steps)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
