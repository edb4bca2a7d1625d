"""AdaBelief on one flat tensor, for a network of which all parameters are views of it."""

from __future__ import annotations

import math

import torch
from torch import nn


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
