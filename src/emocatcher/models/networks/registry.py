"""Every kind of network, in one entry each: its settings, its PyTorch module and its ONNX twin.

A new network needs a struct in `foundation/settings/recipe.py`, a file with the module, a file with the twin, and an
entry here.
Nothing is imported before it is needed: training runs without ONNX, and writing ONNX without PyTorch.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from emocatcher.foundation.settings import CABGNetwork, Network, ResidualNetwork, Settings

if TYPE_CHECKING:
    from emocatcher.models.networks.emotion_network import EmotionNetwork


class Entry(NamedTuple):
    """One kind of network."""

    settings: type[Network]  # its section of a recipe, with the constants that its module and its twin share
    module: str  # where its `EmotionNetwork` is: (settings, front end, n_classes) → the network, with fresh weights
    twin: str  # where the function is that adds it to a graph, with the arguments of `onnx_graphs.networks`


ENTRIES = (
    Entry(
        CABGNetwork,
        module="emocatcher.models.networks.cabg:CABGModule",
        twin="emocatcher.models.onnx_graphs.cabg:add_cabg",
    ),
    Entry(
        ResidualNetwork,
        module="emocatcher.models.networks.residual:ResidualModule",
        twin="emocatcher.models.onnx_graphs.residual:add_residual",
    ),
)
_ENTRY_OF = {entry.settings: entry for entry in ENTRIES}


def build(settings: Settings, n_classes: int) -> EmotionNetwork:
    """Build the network that a recipe asks for, with fresh weights drawn from PyTorch's global generator.

    Args:
        settings: the recipe.
        n_classes: how many emotions there are.
    """
    module: type[EmotionNetwork] = pkgutil.resolve_name(_ENTRY_OF[type(settings.network)].module)
    return module(settings.network, settings.front_end, n_classes)


def twin(network: Network) -> Callable[..., Any]:
    """The function that adds a network of this kind to an ONNX graph (see `onnx_graphs.networks`)."""
    found: Callable[..., Any] = pkgutil.resolve_name(_ENTRY_OF[type(network)].twin)
    return found
