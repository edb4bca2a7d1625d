"""Convert a published checkpoint (.pth) to a model folder. No pickled code is ever run."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher import __version__
from emocatcher.foundation.errors import MissingExtraError, ModelError
from emocatcher.foundation.labels import EMOTIONS
from emocatcher.foundation.settings import load_preset
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle, ModelConfig, Training

# SHA-256 of the published hold-out checkpoints → how their epoch was selected.
_PUBLISHED = {
    "8b266a026ba3a8843e3d95549a6b85b6895a311795f7b89b22f4aabe5e5f8ec0": "best-test",
    "a41db285cb64fbf491fe1713e1b7ac80fc7ab9a4a568f19edebfb161ad4b7700": "last",
}

# Patterns of the published parameter names → the names here.
_RENAMED = (
    (r"^conv_block(\d)\.conv_block\.0\.", lambda match: f"blocks.{int(match[1]) - 1}.conv."),
    (r"^conv_block(\d)\.conv_block\.1\.layer_norm\.", lambda match: f"blocks.{int(match[1]) - 1}.norm."),
    (r"^gru_layernorm\.", "norm."),
    (r"^attention\.linear_q\.", "attention.query."),
    (r"^attention\.linear_k\.", "attention.key."),
    (r"^attention\.linear_z\.", "attention.score."),
    (r"^linear1\.0\.", "hidden."),
    (r"^linear1\.1\.", "hidden_norm."),
    (r"^linear2\.", "output."),
)


def convert(checkpoint: Path, folder: Path) -> Bundle:
    """Convert a checkpoint that EmoCatcher published in 2023 to a model folder.

    The checkpoint is loaded with `weights_only=True`; a file with anything but tensors is refused and not unpickled.

    Args:
        checkpoint: a state dictionary written by `torch.save`.
        folder: the new model folder; it must not contain a model yet.

    Raises:
        ModelError: if the file is not such a checkpoint, or the folder contains a model.
        MissingExtraError: if PyTorch or ONNX is not installed.
    """
    settings = load_preset("cabg")
    try:
        from emocatcher.models.networks import registry
        from emocatcher.models.onnx_graphs import checked_onnx

        network = registry.build(settings, len(EMOTIONS))  # imports PyTorch
    except (ModuleNotFoundError, MissingExtraError):  # of PyTorch or ONNX; the extra has both
        raise MissingExtraError("Converting a checkpoint", "train") from None

    if (folder / model_folder.CONFIG).exists():
        raise ModelError(f"{folder} already contains a model. Name another folder with --to, or remove it first")
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    tensors = {_rename(name): tensor for name, tensor in _read(checkpoint).items()}
    for name in sorted(expected.keys() | tensors.keys()):
        actual_shape, expected_shape = getattr(tensors.get(name), "shape", None), expected.get(name)
        if actual_shape != expected_shape:
            difference = f"lacks {name}" if actual_shape is None else f"has {name} {tuple(actual_shape)}"
            if expected_shape is not None and actual_shape is not None:
                difference += f", where {tuple(expected_shape)} is expected"
            raise ModelError(
                f"{checkpoint} is not a checkpoint of the published network: it {difference}. "
                "Give one of the .pth files published in 2023"
            )
        if not tensors[name].isfinite().all():
            raise ModelError(f"{checkpoint} has NaN or infinity in {name}. Save the network again from a good epoch")
    network.load_state_dict(tensors)
    weights: dict[str, NDArray[Any]] = {name: np.asarray(tensor) for name, tensor in network.state_dict().items()}
    config = ModelConfig(
        name=f"cabg-published-{checkpoint.stem}",
        version=__version__,
        labels=EMOTIONS,
        settings=settings,
        training=Training(
            corpus="ravdess",
            licence="CC BY-NC-SA 4.0 (RAVDESS); the published checkpoint itself is MIT (Kim Seonju 2023)",
            protocol="reference-holdout",
            fold=0,
            speakers_shared=True,
            selection=_PUBLISHED.get(hashlib.sha256(checkpoint.read_bytes()).hexdigest(), "not known"),
            epoch=None,
            seed=None,
            note=f"Converted from `{checkpoint.name}`, published 2023 by Kim Seonju (hwang9u/emocatcher).",
        ),
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
    )
    return model_folder.write(folder, config, weights, checked_onnx(network, settings, EMOTIONS))


def _read(checkpoint: Path) -> dict[str, Any]:
    import torch

    if not checkpoint.is_file():
        raise ModelError(f"No checkpoint at {checkpoint}. Give the path of a .pth file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles, which are refused anyway
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{checkpoint} contains more than tensors, or is not a checkpoint; it was not loaded. "
            "Save only the network's state_dict(), and convert that"
        ) from None
    except Exception as error:  # on malformed bytes, torch.load can raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{checkpoint} cannot be read as a checkpoint: {reason}. Download it again") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise ModelError(f"{checkpoint} is not a dictionary of tensors. Save only the network's state_dict()")
    return state


def _rename(name: str) -> str:
    for pattern, ours in _RENAMED:
        name, n_replaced = re.subn(pattern, ours, name)
        if n_replaced:
            break
    return name
