"""The published experiment's work per clip and per training step, written plainly as a baseline for speed.

Only its work is reproduced, not its results: the front end with librosa and SciPy, the network with PyTorch's layers.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def features(path: Path) -> None:
    """Decode and resample one clip, then compute log-mel and voiced span, as the reference does in every epoch."""
    import librosa
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    waveform, sample_rate = librosa.load(path)
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=sample_rate, n_fft=4096, win_length=2048, hop_length=1364, n_mels=64, fmin=0, fmax=6000,
        pad_mode="constant",
    )  # fmt: skip
    decibels = librosa.amplitude_to_db(librosa.db_to_amplitude(librosa.power_to_db(mel)) ** 2)
    loudness = ((decibels - decibels.min()) / np.ptp(decibels)).sum(axis=0)
    curve = gaussian_filter1d(np.sort(loudness), sigma=10)
    np.flatnonzero(loudness > curve[np.argmax(np.gradient(curve))])


class Network(nn.Module):
    """The network of 166,729 parameters in PyTorch's own layers, with packed sequences."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((64, 64), (64, 64), (64, 128))
        self.convolutions = nn.ModuleList(nn.Conv1d(i, o, 3, padding="same") for i, o in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(o) for _, o in sizes)
        self.norm = nn.LayerNorm(128)
        self.gru = nn.GRU(128, 64, batch_first=True, bidirectional=True)
        self.query, self.key, self.score = nn.Linear(128, 128), nn.Linear(128, 128), nn.Linear(128, 1)
        self.hidden = nn.Sequential(nn.Linear(128, 64), nn.BatchNorm1d(64), nn.GELU(), nn.Dropout(0.1))
        self.output = nn.Linear(64, 8)

    def forward(self, log_mel: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits of shape (batch, 8) from log_mel of shape (batch, 64, n_frames)."""
        x = log_mel
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x).transpose(1, 2).contiguous()).transpose(1, 2).contiguous()
            x = functional.dropout(functional.gelu(x), 0.2, self.training)
        x = self.norm(functional.max_pool1d(x, 2).transpose(1, 2).contiguous())
        packed, final = self.gru(pack_padded_sequence(x, lengths // 2, batch_first=True, enforce_sorted=False))
        keys, lengths = pad_packed_sequence(packed, batch_first=True)
        query = torch.cat([final[0], final[1]], dim=-1)[:, None]
        scores = self.score(torch.tanh(self.query(query) + self.key(keys))).squeeze(2)
        valid = torch.arange(keys.shape[1]) < lengths[:, None]
        attention = torch.softmax(scores.masked_fill(~valid, -1e9), dim=1)
        logits: Tensor = self.output(self.hidden(torch.bmm(attention[:, None], keys).squeeze(1)))
        return logits
