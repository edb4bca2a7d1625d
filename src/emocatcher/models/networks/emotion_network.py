"""The interface of every network in PyTorch that training relies on: prepare, classify, draw noise."""

from __future__ import annotations

import abc
import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, cat, nn

from emocatcher.models.networks.convolution import Dropout


class EmotionNetwork(nn.Module, abc.ABC):
    """A network from channels and lengths to logits and attention.

    A subclass is constructed from its section of the recipe, the front end and the numbers of emotions and dimensions
    (see `emocatcher.models.networks.registry.build`). A network that estimates dimensions, such as arousal, returns
    them behind the logits: wherever the shape is (…, n_classes), it is then (…, n_classes + n_dimensions), the
    dimensions in the units of `foundation.dimensions.scaled`.
    """

    def fit(self, clips: Sequence[NDArray[np.float32]]) -> None:
        """Take statistics of the training part, such as the mean of every channel; by default none.

        Args:
            clips: one array of shape (n_channels, n_frames) per clip, with the channels of `forward`.
        """

    def prepare(self, channels: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """The part of `forward` that has no weights to train; by default it changes nothing.

        Args:
            channels: as for `forward`.
            lengths: as for `forward`.

        Returns:
            shape (batch, n, n_frames), the input of `answers` and `classify`.
        """
        return channels

    @abc.abstractmethod
    def answers(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of each branch, and the attention.

        Args:
            prepared: from `prepare`.
            lengths: as for `forward`.

        Returns:
            logits: shape (n_branches, batch, n_classes); a network without branches has one.
            attention: as from `forward`, the mean of the branches.
        """

    def classify(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The rest of `forward`, after `prepare`: the mean of the branches."""
        logits, attention = self.answers(prepared, lengths)
        return logits.mean(dim=0), attention

    def forward(self, channels: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch of clips.

        Args:
            channels: shape (batch, n_channels, n_frames), float32: mel bands in dB and, where the front end has pitch,
                two more rows; frames beyond a clip's length change nothing.
            lengths: shape (batch,), int64, valid frames, each at least 1.

        Returns:
            logits: shape (batch, n_classes).
            attention: shape (batch, n_frames'), where n_frames' is the longest clip's `n_steps`; sums to 1 over a
                clip's valid steps, 0 beyond.
        """
        return self.classify(self.prepare(channels, lengths), lengths)

    def on_cpu(self) -> Self:
        """Return this network, or a copy of it if it is on another device."""
        return self if next(self.parameters()).device.type == "cpu" else copy.deepcopy(self).cpu()

    def stored_weights(self, *, frozen: bool = True) -> dict[str, NDArray[Any]]:
        """Return the weights as a model folder stores them.

        Args:
            frozen: whether to return those that are not trained too: in 16 bits, if that is exact.
        """
        fixed = [name for name, parameter in self.named_parameters() if not parameter.requires_grad]
        weights = {name: tensor.detach().numpy() for name, tensor in self.state_dict().items()}
        for name in fixed:
            if not frozen:
                del weights[name]
                continue
            half = weights[name].astype(np.float16)
            if np.array_equal(half, weights[name]):
                weights[name] = half
        return weights

    def set_noise(self, bit_generator: np.random.BitGenerator) -> None:
        """Draw all dropout from `bit_generator` from now on."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.bit_generator = bit_generator


def outputs(features: Tensor, output: nn.Linear, dimensions: nn.Linear | None) -> Tensor:
    """Return the logits of pooled features, shape (batch, n), and behind them the dimensions, if there are any."""
    logits: Tensor = output(features)
    return logits if dimensions is None else cat([logits, dimensions(features)], dim=1)
