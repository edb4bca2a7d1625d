"""Optimisers on one flat tensor that all parameters of a network are views of; and the average of its weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from emocatcher.foundation.settings import Optimiser
from emocatcher.models.networks.emotion_network import EmotionNetwork


class AdaBelief(torch.optim.Optimizer):
    """AdaBelief (Zhuang et al. 2020, algorithm 2), with weight decay added to the gradient.

    Every step equals that of pytorch-optimizer's `AdaBelief(weight_decouple=False, rectify=False)`, bit for bit.

    Args:
        flat: the one parameter; each step needs its gradient and overwrites it.
        lr: the learning rate.
        betas: decay rates of the gradient's mean and of its variance around that mean.
        eps: added to the variance, and again to its square root.
        weight_decay: share of the parameter that is added to the gradient.
    """

    def __init__(
        self, flat: nn.Parameter, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> None:
        super().__init__([flat], {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "step": 0})
        self.state[flat] = {"exp_avg": torch.zeros_like(flat), "exp_avg_var": torch.zeros_like(flat)}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the one group. PyTorch's own method first imports its compiler: 50 MB that training never uses."""
        self.param_groups.append(self.defaults | param_group)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move the parameter against its gradient."""
        (group,) = self.param_groups
        (flat,) = group["params"]
        group["step"] += 1
        beta_mean, beta_variance = group["betas"]
        epsilon, decay = group["eps"], group["weight_decay"]
        step_size = group["lr"] / (1.0 - beta_mean ** group["step"])
        correction = math.sqrt(1.0 - beta_variance ** group["step"])
        gradient, moments = flat.grad, self.state[flat]
        mean, variance = moments["exp_avg"], moments["exp_avg_var"]
        gradient.add_(flat, alpha=decay)
        mean.lerp_(gradient, 1.0 - beta_mean)
        residual = gradient.sub_(mean)
        variance.mul_(beta_variance).addcmul_(residual, residual, value=1.0 - beta_variance).add_(epsilon)
        flat.addcdiv_(mean, variance.sqrt().div_(correction).add_(epsilon), value=-step_size)


def trainable(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are trained; those of a frozen encoder are not."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def trained_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the state of a network without the parameters that are not trained, which are read from their source."""
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in network.state_dict().items() if name not in frozen}


def flatten(network: nn.Module) -> nn.Parameter:
    """Make all trained parameters views of one, so that an optimiser loops over one tensor instead of thirty."""
    parameters = trainable(network)
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    values = torch.split(flat.detach(), [parameter.numel() for parameter in parameters])
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data = value.view_as(parameter)
    return flat


def build(settings: Optimiser, flat: nn.Parameter) -> torch.optim.Optimizer:
    """Build the optimiser of a recipe for a parameter from `flatten`."""
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
        network: the network that is trained.
        flat: its parameters, from `flatten`.
        decay: share of the average that each step keeps.

    Attributes:
        network: the copy with the averaged weights.
    """

    def __init__(self, network: EmotionNetwork, flat: nn.Parameter, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self._decay = decay
        self._trained = [flat.detach(), *_statistics(network)]
        self._averaged = [flatten(self.network).detach(), *_statistics(self.network)]

    @torch.no_grad()
    def step(self) -> None:
        """Update the average after a step of the optimiser."""
        for average, current in zip(self._averaged, self._trained, strict=True):
            average.lerp_(current, 1.0 - self._decay)


def _statistics(network: nn.Module) -> list[Tensor]:
    """The floating-point buffers, such as the running means and variances of batch normalisation."""
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]
