"""Optimisers on one flat tensor, for a network of which all parameters are views of it; and their average."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from emocatcher.foundation.settings import Optimiser


class AdaBelief(torch.optim.Optimizer):
    """AdaBelief (Zhuang et al. 2020, algorithm 2), with weight decay added to the gradient.

    Step for step and bit for bit what `AdaBelief(weight_decouple=False, rectify=False)` of pytorch-optimizer does.

    Args:
        flat: one parameter; its gradient is there at every step, and is used up.
        lr: the learning rate.
        betas: decay rates of the gradient's mean and of its surprise.
        eps: added to the surprise, and again to its root.
        weight_decay: share of the parameter that is added to the gradient.
    """

    def __init__(
        self, flat: nn.Parameter, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> None:
        super().__init__([flat], {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "step": 0})
        self.state[flat] = {"exp_avg": torch.zeros_like(flat), "exp_avg_var": torch.zeros_like(flat)}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the one group. PyTorch's own method imports its compiler first: 50 MB that training never uses."""
        self.param_groups.append(self.defaults | param_group)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move the parameter against its gradient."""
        (group,) = self.param_groups
        (flat,) = group["params"]
        group["step"] += 1
        beta_mean, beta_surprise = group["betas"]
        epsilon, decay = group["eps"], group["weight_decay"]
        step_size = group["lr"] / (1.0 - beta_mean ** group["step"])
        correction = math.sqrt(1.0 - beta_surprise ** group["step"])
        gradient, moments = flat.grad, self.state[flat]
        mean, surprise = moments["exp_avg"], moments["exp_avg_var"]
        gradient.add_(flat, alpha=decay)
        mean.lerp_(gradient, 1.0 - beta_mean)
        residual = gradient.sub_(mean)
        surprise.mul_(beta_surprise).addcmul_(residual, residual, value=1.0 - beta_surprise).add_(epsilon)
        flat.addcdiv_(mean, surprise.sqrt().div_(correction).add_(epsilon), value=-step_size)


def flatten(network: nn.Module) -> nn.Parameter:
    """Make all parameters views of one, so that an optimiser has one tensor to loop over, not thirty."""
    parameters = list(network.parameters())
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    values = torch.split(flat.detach(), [parameter.numel() for parameter in parameters])
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data = value.view_as(parameter)
    return flat


def build(settings: Optimiser, flat: nn.Parameter) -> torch.optim.Optimizer:
    """The optimiser that a recipe asks for."""
    rate, betas, epsilon, decay = (
        settings.learning_rate,
        settings.betas,
        settings.epsilon,
        settings.weight_decay,
    )
    if settings.name == "adabelief":
        return AdaBelief(flat, lr=rate, betas=betas, eps=epsilon, weight_decay=decay)
    return torch.optim.AdamW([flat], lr=rate, betas=betas, eps=epsilon, weight_decay=decay)


class WeightAverage:
    """A copy of a network whose weights follow the network's as an exponential moving average (Polyak averaging).

    Args:
        network: that is trained.
        flat: its parameters, from `flatten`.
        decay: share of the average that a step keeps.

    Attributes:
        network: the copy.
    """

    def __init__(self, network: nn.Module, flat: nn.Parameter, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self._decay = decay
        self._theirs = [flat.detach(), *_statistics(network)]
        self._ours = [flatten(self.network).detach(), *_statistics(self.network)]

    @torch.no_grad()
    def step(self) -> None:
        """Move towards the network as it is now."""
        for our, their in zip(self._ours, self._theirs, strict=True):
            our.lerp_(their, 1.0 - self._decay)


def _statistics(network: nn.Module) -> list[Tensor]:
    """Batch normalisation's running means and variances, and whatever else is a number with a fraction."""
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]
