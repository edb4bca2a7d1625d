"""Learning rate schedules: they set the rate before a step or after an epoch."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from emocatcher.foundation.settings import OneCycleSchedule, PlateauSchedule
from emocatcher.foundation.settings import Schedule as Settings

_FIRST, _LAST = 1 / 25, 1e-5  # shares of the learning rate at the start and at the end of a cycle


class Schedule(Protocol):
    """Sets the learning rate of an optimiser; its state can be saved and restored."""

    def before_step(self) -> None:
        """Call it before every step."""

    def after_epoch(self, train_loss: float) -> None:
        """Call it after every epoch with the mean loss of its batches."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON types."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""


class Plateau:
    """Lower the learning rate when the training loss no longer falls (PyTorch's `ReduceLROnPlateau`)."""

    def __init__(self, settings: PlateauSchedule, optimiser: torch.optim.Optimizer) -> None:
        self._schedule = ReduceLROnPlateau(
            optimiser,
            factor=settings.factor,
            patience=settings.patience,
            cooldown=settings.cooldown,
            threshold=settings.threshold,
            min_lr=settings.min_learning_rate,
        )

    def before_step(self) -> None:
        """Do nothing: the rate depends on epochs only."""

    def after_epoch(self, train_loss: float) -> None:
        """Pass the loss to PyTorch's scheduler."""
        self._schedule.step(train_loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of PyTorch's scheduler."""
        return self._schedule.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of PyTorch's scheduler."""
        self._schedule.load_state_dict(state)


class OneCycle:
    """Raise and lower the learning rate once over the training, whatever the loss."""

    def __init__(self, settings: OneCycleSchedule, optimiser: torch.optim.Optimizer, n_steps: int) -> None:
        self._optimiser, self._n_steps, self._warm_up = optimiser, n_steps, settings.warm_up
        self._highest: float = optimiser.param_groups[0]["lr"]
        self._step = 0
        self._set_rate()

    def before_step(self) -> None:
        """Set the rate of this step, and count it."""
        self._set_rate()
        self._step += 1

    def _set_rate(self) -> None:
        share = one_cycle_share(self._step / max(self._n_steps - 1, 1), self._warm_up)
        self._optimiser.param_groups[0]["lr"] = self._highest * share

    def after_epoch(self, train_loss: float) -> None:
        """Do nothing: the rate depends on steps only."""

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps so far."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the number of steps."""
        self._step = state["step"]


def one_cycle_share(position: float, warm_up: float) -> float:
    """Return the share of the highest learning rate at a position in the training.

    Args:
        position: from 0 (the first step) to 1 (the last).
        warm_up: the position of the highest rate.

    Examples:
        >>> [round(one_cycle_share(at, 0.2), 3) for at in (0.0, 0.1, 0.2, 0.6, 1.0)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    rising = position < warm_up
    start, end = (_FIRST, 1.0) if rising else (1.0, _LAST)
    progress = position / warm_up if rising else (position - warm_up) / (1.0 - warm_up)
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0


def build(settings: Settings, optimiser: torch.optim.Optimizer, n_steps: int) -> Schedule:
    """Build the schedule of a recipe.

    Args:
        settings: the recipe's schedule.
        optimiser: the optimiser whose learning rate is set; it has one group, with the highest rate.
        n_steps: steps of the whole training.
    """
    if isinstance(settings, PlateauSchedule):
        return Plateau(settings, optimiser)
    return OneCycle(settings, optimiser, n_steps)
