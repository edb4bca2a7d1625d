"""The published network as a part of an ONNX graph: channels, lengths → logits, attention."""

from __future__ import annotations

from emocatcher.foundation.settings import NORM_EPSILON, CABGNetwork, FrontEnd
from emocatcher.models.onnx_graphs import layers
from emocatcher.models.onnx_graphs.graph import Graph


def add_cabg(
    graph: Graph,
    network: CABGNetwork,
    front_end: FrontEnd,  # noqa: ARG001
    channels: str,
    lengths: str,
    attention: str,
) -> str:
    """Add the network, with the weights of `models.networks.cabg`; see `registry.add_to_graph`."""
    # The pooling and the GRU need at least the frames of one pool, however short the clips are.
    padded = graph.add("Pad", [channels, graph.ints([0, 0, 0, 0, 0, network.pool_size - 1])])
    mask = layers.mask(graph, graph.add("Shape", [padded], start=2, end=3), lengths)
    rows = graph.add("Mul", [padded, mask])
    for number in range(len(network.conv_channels)):
        rows = _block(graph, f"blocks.{number}", rows, mask, network.kernel_size)
    pool = [network.pool_size]
    steps = graph.add("Transpose", [graph.add("MaxPool", [rows], kernel_shape=pool, strides=pool)], perm=[0, 2, 1])
    pooled = graph.add("Div", [lengths, graph.ints([network.pool_size])])
    pooled = graph.add("Max", [pooled, graph.ints([1])])
    # Steps beyond the longest clip are cut off, as in the PyTorch module.
    longest = graph.add("ReduceMax", [pooled], keepdims=1)
    steps = graph.add("Slice", [steps, graph.ints([0]), longest, graph.ints([1])])
    outputs, final = layers.gru(graph, "gru", _norm(graph, "norm", steps), pooled, network.gru_units)
    weights = _attention(graph, outputs, final, layers.mask(graph, longest, pooled))
    graph.add("Squeeze", [weights, graph.ints([1])], outputs=[attention])
    context = graph.add("Squeeze", [graph.add("MatMul", [weights, outputs]), graph.ints([1])])
    hidden = graph.gelu(layers.batch_norm(graph, "hidden_norm", layers.linear(graph, "hidden", context)))
    return layers.outputs(graph, "", hidden)[1]


def _block(graph: Graph, name: str, rows: str, mask: str, kernel_size: int) -> str:
    convolved = layers.convolution(graph, f"{name}.conv", rows, kernel_size)
    normed = _norm(graph, f"{name}.norm", graph.add("Transpose", [convolved], perm=[0, 2, 1]))
    activated = graph.add("Transpose", [graph.gelu(normed)], perm=[0, 2, 1])
    return graph.add("Mul", [activated, mask])


def _norm(graph: Graph, name: str, rows: str) -> str:
    weights = [graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")]
    return graph.add("LayerNormalization", [rows, *weights], axis=-1, epsilon=NORM_EPSILON)


def _attention(graph: Graph, keys: str, query: str, valid: str) -> str:
    """The weights, shape (batch, 1, n_steps)."""
    query, key = layers.linear(graph, "attention.query", query), layers.linear(graph, "attention.key", keys)
    match = graph.add("Tanh", [graph.add("Add", [query, key])])
    return layers.attention_weights(graph, layers.linear(graph, "attention.score", match), valid)
