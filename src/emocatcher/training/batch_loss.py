"""Compute the loss of one batch: of its labels, of its teachers, and of the dimensions that are rated."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emocatcher.foundation.settings import Settings
from emocatcher.models.networks.emotion_network import EmotionNetwork
from emocatcher.training.loss import concordance_loss, smoothed_cross_entropy

Teaching = Callable[[Tensor, Tensor], Tensor]


class Targets(NamedTuple):
    """What a network learns of a batch."""

    emotions: Tensor  # (batch,), int64, class indices; or (batch, n_classes), float32, shares of the classes
    ratings: Tensor | None  # (batch, n_dimensions), from -1 to 1, NaN where there is none; None without dimensions


class BatchLosses(NamedTuple):
    """The losses of a batch."""

    all: Tensor  # a scalar, whose gradient is followed
    of_emotions: Tensor  # its part without dimensions, nats


def compute(
    network: EmotionNetwork,
    channels: Tensor,
    lengths: Tensor,
    targets: Targets,
    settings: Settings,
    random: np.random.Generator,
    teachers: Teaching | None,
) -> tuple[Tensor, BatchLosses]:
    """Return the logits of a batch, and its losses, with mixup if the recipe has it (Zhang et al. 2018).

    Args:
        network: that is trained.
        channels: shape (batch, n_channels, n_frames).
        lengths: shape (batch,), int64, valid frames.
        targets: of the batch.
        settings: the recipe.
        random: for mixup.
        teachers: as for `FoldTrainer`.
    """
    emotions, ratings = targets
    prepared = network.prepare(channels, lengths)
    share, other = 1.0, emotions
    if alpha := settings.augmentation.mixup:
        drawn = float(random.beta(alpha, alpha))
        share, partners = max(drawn, 1.0 - drawn), torch.from_numpy(random.permutation(len(lengths))).to(lengths.device)
        prepared = prepared.lerp(prepared[partners], 1.0 - share)
        lengths, other = torch.maximum(lengths, lengths[partners]), emotions[partners]
        ratings = None if ratings is None else ratings.lerp(ratings[partners], 1.0 - share)
    each, _ = network.answers(prepared, lengths)
    n, n_dimensions = len(each), 0 if ratings is None else ratings.shape[1]
    each, dimensions = each[..., : each.shape[2] - n_dimensions], each[..., each.shape[2] - n_dimensions :]
    logits, smoothing = each.flatten(0, 1), settings.training.label_smoothing
    emotions, other = (one.repeat(n, *[1] * (one.dim() - 1)) for one in (emotions, other))  # for each branch
    loss = share * smoothed_cross_entropy(logits, emotions, smoothing)
    loss = loss + (1.0 - share) * smoothed_cross_entropy(logits, other, smoothing)
    if teachers:
        taught = functional.cross_entropy(logits, teachers(prepared.detach(), lengths).repeat(n, 1))
        loss = loss.lerp(taught, settings.training.teacher_share)
    of_emotions = loss
    if ratings is not None:
        loss = loss + concordance_loss(dimensions.transpose(0, 1).flatten(1), ratings.repeat(1, n))
    return each.mean(dim=0), BatchLosses(loss, of_emotions)
