"""The network of a recipe, whichever kind it is, as a part of an ONNX graph."""

from __future__ import annotations

from emocatcher.foundation.settings import Settings
from emocatcher.models.networks import registry
from emocatcher.models.onnx_graphs.graph import Graph


def add_network(graph: Graph, settings: Settings, log_mel: str, lengths: str, attention: str) -> str:
    """Add the network.

    A twin in the registry is the same function, with `settings.network` and `settings.front_end` in place of
    `settings`.

    Args:
        graph: the graph to extend; it holds the weights.
        settings: the sizes, and what the network is given.
        log_mel: shape (batch, n_channels, n_frames), float32.
        lengths: shape (batch,), int64; the longest has n_frames.
        attention: the name for the attention, shape (batch, n_frames').

    Returns:
        the logits, shape (batch, n_classes).
    """
    add = registry.twin(settings.network)
    logits: str = add(graph, settings.network, settings.front_end, log_mel, lengths, attention)
    return logits
