"""Read all weights of a model folder, which has those of an encoder in its graph alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import MissingExtraError, ModelError
from emocatcher.models import onnx_check
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_graphs.encoder import ROW_STEPS, WHOLE

try:
    import onnx
except ModuleNotFoundError as error:
    raise MissingExtraError("Reading the weights of a graph", "export") from error

_ENCODER = "encoder."
_ROUNDED, _TURNED = ".int8", ".weight.T"


def read(model: Bundle) -> dict[str, NDArray[Any]]:
    """Read the weights by their names in the network.

    Args:
        model: an opened model folder.

    Returns:
        all weights; those of an encoder that are only in the graph are as the graph has them, or, of a graph in 8 bits,
        as it multiplies by them.

    Raises:
        ModelError: if a file cannot be read.
    """
    weights = model.weights()
    if not model.config.settings.encoder or any(name.startswith(_ENCODER) for name in weights):
        return weights
    try:
        return weights | _of_the_encoder(_stored(model))
    except (KeyError, ValueError) as error:
        raise _unreadable(model, error) from error


def is_int8(model: Bundle) -> bool:
    """Return whether an encoder's graph multiplies in whole numbers.

    Raises:
        ModelError: if the graph cannot be read.
    """
    return any(name.endswith(WHOLE) for name in _stored(model))


def _stored(model: Bundle) -> dict[str, NDArray[Any]]:
    """Read what a graph has stored, by name."""
    payload = model.onnx_path.read_bytes()
    onnx_check.check(payload, str(model.onnx_path))
    try:
        graph = onnx.load_model_from_string(payload).graph
        return {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    except Exception as error:  # the errors of protobuf have no common class
        raise _unreadable(model, error) from error


def _unreadable(model: Bundle, error: Exception) -> ModelError:
    return ModelError(f"{model.onnx_path} cannot be read: {error}. Copy the model folder again")


def _of_the_encoder(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the encoder's weights by their names in the network, of all values that a graph has stored."""
    weights = {}
    for name, value in stored.items():
        if not name.startswith(_ENCODER):
            continue
        if name.endswith(WHOLE):  # (n_in, n_out)
            layer = name.removesuffix(WHOLE)
            scale = stored[f"{layer}.scale"] * np.float32(ROW_STEPS)  # the graph's includes the scale of the rows
            weights[f"{layer}.weight"] = np.ascontiguousarray((value * scale).T)
        elif name.endswith(_ROUNDED):
            weight = name.removesuffix(_ROUNDED)
            weights[weight] = value * stored[f"{weight}.scale"]
        elif name.endswith(_TURNED):  # (n_in, n_out)
            weights[name.removesuffix(".T")] = np.ascontiguousarray(value.T)
        elif name.endswith((".weight", ".bias")):
            weights[name] = value
    return weights
