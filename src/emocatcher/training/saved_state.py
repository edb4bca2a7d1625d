"""The saved state of a training: written atomically, and restored only if it is of this fold and this network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import RunError
from emocatcher.training.optimiser import trained_state


class Meta(msgspec.Struct, frozen=True):
    """What a state holds besides tensors."""

    epochs: list[Epoch]
    best: tuple[int, float] | None  # epoch and accuracy
    step: int | None
    learning_rate: float
    schedule: dict[str, Any]


class SavedState(NamedTuple):
    """A state that fits: `tensors` maps network, learner, optimiser and best to their tensors by name."""

    tensors: dict[str, dict[str, Tensor]]
    meta: Meta


def write(path: Path, tensors: Mapping[str, Mapping[str, Tensor]], meta: object, fold: int) -> None:
    """Write a state to one file, atomically; tensors by owner and name, from any device.

    Raises:
        RunError: if it cannot be written; the last saved state is intact.
    """
    arrays = {
        f"{owner}.{name}": tensor.cpu().numpy() for owner, named in tensors.items() for name, tensor in named.items()
    }
    try:
        atomic_files.write_tensors(path, arrays, meta)
    except OSError as error:
        raise RunError(
            f"Fold {fold} cannot save its state to {path}: {error.strerror}. The last saved state is intact. "
            "Fix the problem, then rerun with --resume"
        ) from error


def check(
    arrays: Mapping[str, NDArray[Any]], meta: object, networks: Mapping[str, nn.Module], flat: Tensor, fold: int
) -> SavedState:
    """Sort the tensors of a state by their owner, and check names, shapes and the fold.

    Args:
        arrays: by "owner.name".
        meta: the rest of the state.
        networks: the network of each owner but the optimiser.
        flat: the parameters that the optimiser changes.
        fold: the fold of the state.

    Raises:
        ValueError: if the state does not fit.
    """
    try:
        found = msgspec.convert(meta, Meta)
        tensors: dict[str, dict[str, Tensor]] = {owner: {} for owner in (*networks, "optimiser")}
        for name, array in arrays.items():
            owner, _, tensor = name.partition(".")
            tensors[owner][tensor] = torch.from_numpy(array.copy())
    except (msgspec.ValidationError, KeyError, TypeError) as error:
        raise ValueError(f"it has another format: {error}") from None
    if [(one.fold, one.epoch) for one in found.epochs] != [(fold, n + 1) for n in range(len(found.epochs))]:
        raise ValueError("its epochs are of another fold")
    fits = all(_form(tensors[owner]) == _form(trained_state(network)) for owner, network in networks.items())
    if not fits or any(one.shape not in ((), flat.shape) for one in tensors["optimiser"].values()):
        raise ValueError("it is of another network")
    return SavedState(tensors, found)


def _form(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
