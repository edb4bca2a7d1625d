"""Every kind of network in one entry: its settings, its PyTorch module and its ONNX twin.

A new network needs a struct in `foundation/settings/recipe.py`, which also has the constants that module and twin
share, a file with the module, a file with the twin, and an entry here. Module and twin are imported on first use:
training needs no ONNX, and writing ONNX no PyTorch.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from emocatcher.foundation.settings import CABGNetwork, Encoder, EncoderNetwork, Network, ResidualNetwork, Settings

if TYPE_CHECKING:
    from emocatcher.models.networks.emotion_network import EmotionNetwork
    from emocatcher.models.onnx_graphs.graph import Graph


class Entry(NamedTuple):
    """One kind of network; a place is `module:name`."""

    # An encoder, if the recipe has one, is the last argument of both by place.
    module: str  # of its `EmotionNetwork`: (settings, front end, n_classes; n_dimensions) → the network
    twin: str  # of the function behind `add_to_graph`: (graph, settings, front end, channels, lengths, attention)


_MODELS = "emocatcher.models"
ENTRIES: dict[type[Network], Entry] = {
    CABGNetwork: Entry(f"{_MODELS}.networks.cabg:CABGModule", f"{_MODELS}.onnx_graphs.cabg:add_cabg"),
    ResidualNetwork: Entry(
        f"{_MODELS}.networks.residual:ResidualModule", f"{_MODELS}.onnx_graphs.residual:add_residual"
    ),
    EncoderNetwork: Entry(f"{_MODELS}.networks.encoder:EncoderModule", f"{_MODELS}.onnx_graphs.encoder:add_encoder"),
}


def build(settings: Settings, n_classes: int, n_dimensions: int = 0) -> EmotionNetwork:
    """Build the network of a recipe, with fresh weights drawn from PyTorch's global generator.

    Args:
        settings: the recipe.
        n_classes: number of emotions.
        n_dimensions: number of dimensions; without any, the network has no part for them.
    """
    module: type[EmotionNetwork] = pkgutil.resolve_name(ENTRIES[type(settings.network)].module)
    more = _encoder(settings)
    return module(settings.network, settings.front_end, n_classes, *more, n_dimensions=n_dimensions)


def add_to_graph(graph: Graph, settings: Settings, channels: str, lengths: str, attention: str) -> str:
    """Add the network of a recipe to an ONNX graph.

    Args:
        graph: the graph to extend; it holds the weights.
        settings: the recipe.
        channels: name of the input of shape (batch, n_channels, n_frames), float32.
        lengths: name of the input of shape (batch,), int64; the longest has n_frames.
        attention: name to give to the attention, shape (batch, n_frames').

    Returns:
        the name of the logits, shape (batch, n_classes), with the dimensions behind them if the weights have any.
    """
    add = pkgutil.resolve_name(ENTRIES[type(settings.network)].twin)
    logits: str = add(graph, settings.network, settings.front_end, channels, lengths, attention, *_encoder(settings))
    return logits


def _encoder(settings: Settings) -> tuple[Encoder, ...]:
    return () if isinstance(settings.encoder, msgspec.UnsetType) else (settings.encoder,)
