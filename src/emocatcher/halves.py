"""A batch learnt in two halves, which meet at the classifier alone, so that two processes can share a fold.

A fold that has the machine to itself would leave all cores but one idle. A second thread waits for the first at each of
some hundred operations a step; two halves wait for each other four times. Each half goes through the convolutions, the
recurrent layer and the attention by itself, where no clip meets another. The classifier, whose batch normalisation
takes the whole batch, stays with the process that leads, and so do the loss and the optimiser.

What is measured after an epoch is shared in the same way.

Where there is no second process, or none yet, the same process computes both halves, one after the other, and the sums
are the same bit for bit. What a fold learns depends neither on the number of cores nor on how soon a process starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocatcher.config import CABGNetwork, Settings
from emocatcher.dataset import FeatureTable
from emocatcher.model import EmotionNetwork
from emocatcher.padding import pad_batch

MOST_AT_ONCE = 96  # utterances that are measured together

Batch = NDArray[np.int64]  # (n_clips,), positions of utterances in the training part


def possible(settings: Settings, *, taught: bool) -> bool:
    """Whether a recipe can be learnt in halves: no clip may meet another before the classifier.

    Args:
        settings: the recipe.
        taught: whether other networks teach.
    """
    augmentation, average = settings.augmentation, settings.training.weight_average
    is_plain = not (augmentation.mixup or augmentation.varies or average or taught)
    return isinstance(settings.network, CABGNetwork) and is_plain


class Half(Protocol):
    """Computes its half of every batch, in this process or in another."""

    def begin(self, noise: np.random.SeedSequence, halves: Sequence[Batch]) -> None:
        """An epoch: where dropout's noise comes from, and the halves to come."""

    def start(self, flat: Tensor) -> None:
        """Take up the next one; `flat` has the network's weights as they are now."""

    def context(self) -> Tensor:
        """What the classifier is given of it, shape (n_clips, width)."""

    def turn(self, d_context: Tensor) -> None:
        """Take up the way back, from the gradient of `context`."""

    def gradient(self) -> Tensor:
        """Of the parameters before the classifier, flat."""

    def look_at(self, ids: Sequence[str], flat: Tensor) -> None:
        """Take up some utterances of any part, without dropout."""

    def contexts(self) -> Tensor:
        """What the classifier is given of them, shape (n_clips, width)."""


class Companion(Half, Protocol):
    """A half in another process, which takes a while to start."""

    def is_ready(self) -> bool:
        """Whether it has started; once it has, it stays so. One that cannot start never is."""


class Halves:
    """Both halves of every batch.

    Args:
        network: that learns.
        flat: its parameters, from `optimiser.flatten`.
        features: of the utterances.
        ids: of the training part, in its order.

    Attributes:
        companion: computes the second halves as soon as it is ready; None for never.
    """

    def __init__(self, network: EmotionNetwork, flat: nn.Parameter, features: FeatureTable, ids: Sequence[str]) -> None:
        self.companion: Companion | None = None
        self._network, self._flat = network, flat
        self._features, self._lengths = features, features.lengths_of(ids)
        self._first, self._second_here = (HalfHere(network, features, ids) for _ in range(2))
        self._second: Half = self._second_here
        self._of_classifier = network.classifier_parameters()

    def begin(self, noise: np.random.SeedSequence, batches: Sequence[Batch]) -> list[Batch]:
        """Begin an epoch.

        Args:
            noise: that all dropout of the epoch comes from.
            batches: of at least two utterances each.

        Returns:
            the same batches, each in the order in which `learn` has its utterances.
        """
        of_first, of_second, of_classifier = noise.spawn(3)
        pairs = [self._cut(batch) for batch in batches]
        self._second = self._second_now()
        self._first.begin(of_first, [first for first, _ in pairs])
        self._second.begin(of_second, [second for _, second in pairs])
        self._noise = np.random.SFC64(of_classifier)
        return [np.concatenate(pair) for pair in pairs]

    def learn(self, loss_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Compute the next batch, and leave its gradient with the flat parameter.

        Args:
            loss_of: from logits (n_clips, n_classes) to the loss, a scalar.

        Returns:
            logits and loss.

        Raises:
            RunError: if the companion died.
        """
        self._second.start(self._flat.detach())
        self._first.start(self._flat.detach())
        first, second = self._first.context(), self._second.context()
        context = torch.cat([first, second]).requires_grad_()
        self._network.set_noise(self._noise)
        logits = self._network.decide(context)
        loss = loss_of(logits)
        d_context, *of_classifier = torch.autograd.grad(loss, [context, *self._of_classifier])
        self._second.turn(d_context[len(first) :])
        self._first.turn(d_context[: len(first)])
        of_encoder = self._first.gradient().add_(self._second.gradient())
        self._flat.grad = torch.cat([of_encoder, *(gradient.flatten() for gradient in of_classifier)])
        return logits, loss

    def logits(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """What the network says of some utterances, without dropout, shape (n_clips, n_classes).

        Raises:
            RunError: if the companion died.
        """
        order = np.argsort(self._features.lengths_of(ids), kind="stable")
        pair = order[0::2], order[1::2]
        second = self._second_now()
        for half, positions in zip((second, self._first), reversed(pair), strict=True):
            half.look_at([ids[i] for i in positions], self._flat.detach())
        self._network.eval()
        with torch.inference_mode():
            said = self._network.decide(torch.cat([self._first.contexts(), second.contexts()])).numpy()
        logits = np.empty_like(said)
        logits[np.concatenate(pair)] = said
        return logits

    def _second_now(self) -> Half:
        return self.companion if self.companion and self.companion.is_ready() else self._second_here

    def _cut(self, batch: Batch) -> tuple[Batch, Batch]:
        # From the longest on in turns, so that neither half waits long for the other.
        order = batch[np.argsort(-self._lengths[batch], kind="stable")]
        return order[0::2], order[1::2]


class HalfHere:
    """A half that this process computes; see `Half`."""

    def __init__(self, network: EmotionNetwork, features: FeatureTable, ids: Sequence[str]) -> None:
        self._network, self._features, self._log_mels = network, features, features.log_mels(ids)
        self._parameters = network.encoder_parameters()

    def begin(self, noise: np.random.SeedSequence, halves: Sequence[Batch]) -> None:
        """See `Half`."""
        self._network.train()
        self._noise, self._halves = np.random.SFC64(noise), iter(halves)

    def start(self, flat: Tensor) -> None:  # noqa: ARG002
        """See `Half`; the network's parameters are views of the weights."""
        log_mel, lengths = pad_batch([self._log_mels[i] for i in next(self._halves)])
        self._network.set_noise(self._noise)
        self._context, _ = self._network.encode(torch.from_numpy(log_mel), torch.from_numpy(lengths))

    def context(self) -> Tensor:
        """See `Half`."""
        return self._context.detach()

    def turn(self, d_context: Tensor) -> None:
        """See `Half`."""
        gradients = torch.autograd.grad(self._context, self._parameters, d_context)
        self._gradient = torch.cat([gradient.flatten() for gradient in gradients])

    def gradient(self) -> Tensor:
        """See `Half`."""
        return self._gradient

    def look_at(self, ids: Sequence[str], flat: Tensor) -> None:  # noqa: ARG002
        """See `Half`."""
        self._network.eval()
        log_mels = self._features.log_mels(ids)
        contexts = []
        with torch.inference_mode():
            for start in range(0, len(ids), MOST_AT_ONCE):
                log_mel, lengths = pad_batch(log_mels[start : start + MOST_AT_ONCE])
                context, _ = self._network.encode(torch.from_numpy(log_mel), torch.from_numpy(lengths))
                contexts.append(context)
        self._contexts = torch.cat(contexts) if contexts else torch.empty(0, self._network.attention.key.out_features)

    def contexts(self) -> Tensor:
        """See `Half`."""
        return self._contexts
