"""A device that behaves like a GPU as far as placement goes, but needs none: its results are those of the CPU.

A tensor on it states the device "meta". As on a GPU, an operation that mixes it with a tensor on the CPU is refused,
unless that has no dimension, and so is a conversion to NumPy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

NAME = "meta"


class _Placed(torch.Tensor):
    """A tensor on the device; `held` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Any:
        placed = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=NAME, requires_grad=held.requires_grad,
        )  # fmt: skip
        placed.held = held
        return placed

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, other: _Placed) -> None:  # PyTorch's own would leave `held` as it is
        self.held = other.held

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class SimulatedDevice(TorchDispatchMode):
    """While it is active, `device="meta"` is the simulated device."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


def _run(function: Any, args: Any, kwargs: Any) -> Any:
    tensors = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    placed = [one for one in tensors if isinstance(one, _Placed)]
    name = function.overloadpacket.__name__
    if placed and name not in ("_to_copy", "copy_"):
        strangers = [one for one in tensors if not isinstance(one, _Placed) and one.dim()]
        assert not strangers, f"{name} mixes the simulated device with {[one.shape for one in strangers]} on the CPU"
    device = kwargs.get("device")
    target = bool(placed) if device is None else torch.device(device).type == NAME
    if device is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    inner_args, inner_kwargs = pytree.tree_map_only(_Placed, lambda one: one.held, (args, kwargs))
    found = function(*inner_args, **inner_kwargs)
    if not target:
        return found
    wrapped = pytree.tree_map_only(torch.Tensor, lambda one: one if isinstance(one, _Placed) else _Placed(one), found)
    return return_and_correct_aliasing(function, args, kwargs, wrapped) if placed else wrapped
