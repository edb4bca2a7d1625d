"""Learning rate schedules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emocatcher.foundation.settings import OneCycleSchedule, load_preset
from emocatcher.training import schedule
from emocatcher.training.schedule import Schedule


def build(n_steps: int = 100, warm_up: float = 0.2) -> tuple[Schedule, torch.optim.Optimizer]:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    return schedule.build(OneCycleSchedule(warm_up=warm_up), optimiser, n_steps), optimiser


def rates(one: Schedule, optimiser: torch.optim.Optimizer, n_steps: int) -> list[float]:
    found = []
    for _ in range(n_steps):
        one.before_step()
        found.append(optimiser.param_groups[0]["lr"])
    return found


def test_one_cycle_rises_to_the_highest_rate_and_falls_to_almost_zero() -> None:
    found = rates(*build(101), 101)
    top = found.index(max(found))
    assert found[top] == pytest.approx(0.5)
    assert top == 20
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert found[0] == pytest.approx(0.5 / 25)
    assert found[-1] < 1e-4


def test_the_first_rate_is_set_before_the_first_step() -> None:
    _, optimiser = build()
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.5 / 25)


def test_one_cycle_ignores_the_loss_and_resumes_from_its_state() -> None:
    whole = rates(*build(), 100)
    one, optimiser = build()
    first = rates(one, optimiser, 40)
    one.after_epoch(99.0)
    other, other_optimiser = build()
    other.load_state_dict(one.state_dict())
    assert first + rates(other, other_optimiser, 60) == whole


def test_a_training_may_have_one_step() -> None:
    assert rates(*build(1), 1) == [pytest.approx(0.5 / 25)]


def test_the_plateau_depends_on_the_loss_only() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-3)
    plateau = schedule.build(load_preset("cabg").schedule, optimiser, 10)
    assert rates(plateau, optimiser, 5) == [1e-3] * 5
    for _ in range(4):
        plateau.after_epoch(1.0)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.7e-3)
