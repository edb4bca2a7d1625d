"""The network of the preset `emocatcher-3`: log-mel spectrogram → encoder → statistics over time → one linear layer.

The encoder is frozen, so the statistics of a corpus are computed once, and training takes seconds. Every logit is a
constant plus a sum over time: the mean of a state is the sum of its values over the steps, divided by their number, and
its deviation is the sum of the squared distances from the mean, divided by their number and by the deviation. The
attention is each step's share of that sum, for the most probable emotion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocatcher.foundation.settings import Encoder, EncoderNetwork, FrontEnd
from emocatcher.models.networks.convolution import Dropout
from emocatcher.models.networks.emotion_network import EmotionNetwork, outputs
from emocatcher.models.networks.whisper import WhisperEncoder, scale

_FITTED_AT_ONCE = 64  # statistics


class EncoderModule(EmotionNetwork):
    """An encoder, statistics over time of the states of all its layers, and a linear layer.

    Args:
        settings: dropout.
        front_end: its log-mel spectrogram must be Whisper's.
        n_classes: number of emotions.
        encoder: the encoder's sizes. Its weights are drawn at random; `whisper.load` sets those of a file.
        n_dimensions: number of dimensions.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, settings: EncoderNetwork, front_end: FrontEnd, n_classes: int, encoder: Encoder, n_dimensions: int = 0
    ) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(encoder, front_end.n_mels).requires_grad_(False)
        n_statistics = 2 * encoder.n_layers * encoder.width
        self.register_buffer("mean", torch.zeros(n_statistics))
        self.register_buffer("deviation", torch.ones(n_statistics))
        self.dropout = Dropout(settings.dropout)
        self.output = nn.Linear(n_statistics, n_classes)
        self.dimensions = nn.Linear(n_statistics, n_dimensions) if n_dimensions else None

    def fit(self, clips: Sequence[NDArray[np.float32]]) -> None:
        """Take the mean and the deviation of each statistic over the training part.

        Args:
            clips: one array of shape (n_statistics, 1) per clip, from `statistics`.
        """
        for start in range(0, len(self.mean), _FITTED_AT_ONCE):  # all statistics may not fit into memory
            some = slice(start, start + _FITTED_AT_ONCE)
            rows = torch.from_numpy(np.stack([clip[some, 0] for clip in clips]))
            self.mean[some] = rows.mean(dim=0)
            self.deviation[some] = rows.std(dim=0).clamp_min(1e-3)

    def answers(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Classify by statistics, without attention: the mean and the deviation of a clip have no place in time.

        Args:
            prepared: shape (batch, n_statistics, 1).
            lengths: not used.

        Returns:
            logits: shape (1, batch, n_classes).
            attention: shape (batch, 1), all 1.
        """
        return self._outputs(prepared[:, :, 0]).unsqueeze(0), prepared.new_ones(len(prepared), 1)

    def forward(self, channels: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `EmotionNetwork.forward`; a clip's attention is zero where a step speaks against its emotion."""
        states, mask = _states(self.encoder, channels, lengths)
        mean, deviation = _moments(states, mask)
        answers = self._outputs(torch.cat([mean, deviation], dim=2).flatten(1))
        logits = answers[:, : self.output.out_features]
        # What a step adds to the logit of the answer, compared with other emotions and with the training part.
        weights = self.output.weight - self.output.weight.mean(dim=0)
        chosen = (weights[logits.argmax(dim=1)] / self.deviation).view(-1, states.shape[2], 2, states.shape[3])
        usual = self.mean.view(states.shape[2], 2, states.shape[3])
        spread = (states - mean.unsqueeze(1)).square() / deviation.unsqueeze(1)
        shares = ((states - usual[:, 0]) * chosen[:, None, :, 0]).sum((2, 3))
        shares = shares + ((spread - usual[:, 1]) * chosen[:, None, :, 1]).sum((2, 3))
        shares = (shares * mask).clamp_min(0.0)
        shares = torch.where(shares.sum(dim=1, keepdim=True) > 0.0, shares, mask)
        return answers, shares / shares.sum(dim=1, keepdim=True)

    def _outputs(self, statistics: Tensor) -> Tensor:
        return outputs(self.dropout((statistics - self.mean) / self.deviation), self.output, self.dimensions)


def statistics(encoder: WhisperEncoder, channels: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean and the deviation over time of the states of each layer.

    Args:
        encoder: the encoder.
        channels: shape (batch, n_mels, n_frames), dB.
        lengths: shape (batch,), int64, valid frames.

    Returns:
        shape (batch, 2 · n_layers · width): mean and deviation of the first layer's states, and so on.
    """
    return torch.cat(_moments(*_states(encoder, channels, lengths)), dim=2).flatten(1)


def _states(encoder: WhisperEncoder, channels: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states (batch, n_steps, n_layers, width) and the mask (batch, n_steps), float32."""
    scaled = scale(channels[:, :, : int(lengths.max())], lengths, EncoderNetwork.LOUDEST_DB)
    states, mask = encoder(scaled, lengths, EncoderNetwork.LONGEST_PIECE)
    return torch.stack(states, dim=2), mask.to(torch.float32)


def _moments(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation over the valid steps, each of shape (batch, n_layers, width)."""
    valid = mask[:, :, None, None]
    count = valid.sum(dim=1)
    mean = (states * valid).sum(dim=1) / count
    variance = ((states - mean.unsqueeze(1)).square() * valid).sum(dim=1) / count
    return mean, (variance + EncoderNetwork.SMALLEST_VARIANCE).sqrt()
