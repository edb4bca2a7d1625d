"""Whichever network a recipe has, as a part of a graph."""

from __future__ import annotations

from emocatcher.config import ResidualNetwork, Settings
from emocatcher.export.cabg import add_cabg
from emocatcher.export.graph import Graph
from emocatcher.export.residual import add_residual


def add_network(graph: Graph, settings: Settings, log_mel: str, lengths: str, attention: str) -> str:
    """Add the network.

    Args:
        graph: to which; it holds the weights.
        settings: the sizes, and what the network is given.
        log_mel: shape (batch, n_channels, n_frames), float32.
        lengths: shape (batch,), int64; the longest has n_frames.
        attention: what to call the weights, shape (batch, n_frames').

    Returns:
        the logits, shape (batch, n_classes).
    """
    network, front_end = settings.network, settings.front_end
    if isinstance(network, ResidualNetwork):
        return add_residual(graph, network, front_end, log_mel, lengths, attention)
    return add_cabg(graph, network, log_mel, lengths, attention)
