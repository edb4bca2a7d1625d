"""The learning rate over a training: what is asked before a step, and what is learnt from an epoch."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from emocatcher.foundation.settings import OneCycleSchedule, PlateauSchedule
from emocatcher.foundation.settings import Schedule as Settings

_FIRST, _LAST = 1 / 25, 1e-5  # shares of the learning rate that a cycle begins and ends with


class Schedule(Protocol):
    """Sets an optimiser's learning rate; its state can be put down and taken up again."""

    def before_step(self) -> None:
        """Called before every step."""

    def after_epoch(self, train_loss: float) -> None:
        """Called after every epoch, with its running loss."""

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, as JSON has it."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state up."""


class Plateau:
    """Lower it where the training loss no longer falls."""

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
        """Steps change nothing."""

    def after_epoch(self, train_loss: float) -> None:
        """Watch the loss."""
        self._schedule.step(train_loss)

    def state_dict(self) -> dict[str, Any]:
        """Of PyTorch's scheduler."""
        return self._schedule.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Into PyTorch's scheduler."""
        self._schedule.load_state_dict(state)


class OneCycle:
    """Up and down once, whatever the loss does."""

    def __init__(self, settings: OneCycleSchedule, optimiser: torch.optim.Optimizer, n_steps: int) -> None:
        self._optimiser, self._n_steps, self._warm_up = optimiser, n_steps, settings.warm_up
        self._highest: float = optimiser.param_groups[0]["lr"]
        self._step = 0
        self._set_rate()

    def before_step(self) -> None:
        """Move on by one step."""
        self._set_rate()
        self._step += 1

    def _set_rate(self) -> None:
        share = one_cycle_share(self._step / max(self._n_steps - 1, 1), self._warm_up)
        self._optimiser.param_groups[0]["lr"] = self._highest * share

    def after_epoch(self, train_loss: float) -> None:
        """The loss changes nothing."""

    def state_dict(self) -> dict[str, Any]:
        """How many steps were taken."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._step = state["step"]


def one_cycle_share(position: float, warm_up: float) -> float:
    """The share of the highest learning rate at a position in the training.

    Args:
        position: 0 (the first step) … 1 (the last).
        warm_up: where the highest stands.

    Examples:
        >>> [round(one_cycle_share(at, 0.2), 3) for at in (0.0, 0.1, 0.2, 0.6, 1.0)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    rising = position < warm_up
    start, end = (_FIRST, 1.0) if rising else (1.0, _LAST)
    way = position / warm_up if rising else (position - warm_up) / (1.0 - warm_up)
    return end + (start - end) * (1.0 + math.cos(math.pi * way)) / 2.0


def build(settings: Settings, optimiser: torch.optim.Optimizer, n_steps: int) -> Schedule:
    """The schedule that a recipe asks for.

    Args:
        settings: of the recipe.
        optimiser: whose learning rate is set; it has one group, at its highest.
        n_steps: of the whole training.
    """
    if isinstance(settings, PlateauSchedule):
        return Plateau(settings, optimiser)
    return OneCycle(settings, optimiser, n_steps)
