"""The network of a recipe, whichever kind it is, as a part of an ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emocatcher.foundation.settings import CABGNetwork, Network, ResidualNetwork, Settings
from emocatcher.models.onnx_graphs.cabg import add_cabg
from emocatcher.models.onnx_graphs.graph import Graph
from emocatcher.models.onnx_graphs.residual import add_residual

# The same function as `add_network`, with `settings.network` and `settings.front_end` in place of `settings`.
TWINS: Mapping[type[Network], Callable[..., str]] = {CABGNetwork: add_cabg, ResidualNetwork: add_residual}


def add_network(graph: Graph, settings: Settings, channels: str, lengths: str, attention: str) -> str:
    """Add the network.

    Args:
        graph: the graph to extend; it holds the weights.
        settings: the sizes, and what the network is given.
        channels: shape (batch, n_channels, n_frames), float32.
        lengths: shape (batch,), int64; the longest has n_frames.
        attention: the name for the attention, shape (batch, n_frames').

    Returns:
        the logits, shape (batch, n_classes).
    """
    add = TWINS[type(settings.network)]
    return add(graph, settings.network, settings.front_end, channels, lengths, attention)
