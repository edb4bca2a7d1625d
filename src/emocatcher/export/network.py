"""The network's part of a graph: log_mel, lengths → logits, attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.config import Network
from emocatcher.export.graph import FLOAT, INT32, Graph


def add_network(graph: Graph, network: Network, log_mel: str, lengths: str, attention: str) -> str:
    """Add the network.

    Args:
        graph: to which; its weights are those of `emocatcher.model.EmotionNetwork`.
        network: the sizes.
        log_mel: shape (batch, n_mels, n_frames), float32.
        lengths: shape (batch,), int64.
        attention: what to call the weights, shape (batch, n_frames').

    Returns:
        the logits, shape (batch, n_classes).
    """
    # The GRU and the pooling need as many frames as one pool, whatever the batch holds.
    padded = graph.add("Pad", [log_mel, graph.ints([0, 0, 0, 0, 0, network.pool_size - 1])])
    n_frames = graph.add("Shape", [padded], start=2, end=3)
    mask = _mask(graph, n_frames, lengths)
    rows = graph.add("Mul", [padded, mask])
    for number in range(len(network.conv_channels)):
        rows = _block(graph, f"blocks.{number}", rows, mask, network.kernel_size)
    pool = [network.pool_size]
    steps = graph.add("Transpose", [graph.add("MaxPool", [rows], kernel_shape=pool, strides=pool)], perm=[0, 2, 1])
    pooled = graph.add("Div", [lengths, graph.ints([network.pool_size])])
    pooled = graph.add("Max", [pooled, graph.ints([1])])
    # Beyond the longest clip there is nothing to attend to; PyTorch's graph leaves it out too.
    longest = graph.add("ReduceMax", [pooled], keepdims=1)
    steps = graph.add("Slice", [steps, graph.ints([0]), longest, graph.ints([1])])
    outputs, final = _gru(graph, _norm(graph, "norm", steps), pooled, network.gru_units)
    context = _attention(graph, outputs, final, pooled, longest, attention)
    hidden = graph.gelu(_batch_norm(graph, "hidden_norm", _linear(graph, "hidden", context)))
    return _linear(graph, "output", hidden)


def _mask(graph: Graph, size: str, lengths: str) -> str:
    """Shape (batch, 1, size), float32: 1 where valid."""
    steps = graph.range(graph.number(0, np.int64), graph.add("Squeeze", [size]))
    valid = graph.add("Less", [steps, graph.add("Unsqueeze", [lengths, graph.ints([1, 2])])])
    return graph.add("Cast", [valid], to=FLOAT)


def _block(graph: Graph, name: str, rows: str, mask: str, kernel_size: int) -> str:
    weight = f"{name}.conv.weight"
    inputs = [rows, graph.matrix(weight, graph.weights[weight], 0), graph.weight(f"{name}.conv.bias")]
    convolved = graph.add("Conv", inputs, kernel_shape=[kernel_size], pads=[kernel_size // 2] * 2)
    normed = _norm(graph, f"{name}.norm", graph.add("Transpose", [convolved], perm=[0, 2, 1]))
    activated = graph.add("Transpose", [graph.gelu(normed)], perm=[0, 2, 1])
    return graph.add("Mul", [activated, mask])


def _norm(graph: Graph, name: str, rows: str) -> str:
    weights = [graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")]
    return graph.add("LayerNormalization", [rows, *weights], axis=-1, epsilon=1e-5)


def _batch_norm(graph: Graph, name: str, rows: str) -> str:
    parts = [graph.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    return graph.add("BatchNormalization", [rows, *parts], epsilon=1e-5)


def _linear(graph: Graph, name: str, rows: str) -> str:
    weight = graph.matrix(f"{name}.weight.T", graph.weights[f"{name}.weight"].T, 1)
    return graph.add("Add", [graph.add("MatMul", [rows, weight]), graph.weight(f"{name}.bias")])


def _gru(graph: Graph, rows: str, lengths: str, units: int) -> tuple[str, str]:
    """Outputs (batch, n_steps, 2 · units) and final states (batch, 1, 2 · units)."""

    def both(part: str) -> NDArray[Any]:
        halves = [graph.weights[f"gru.{part}_l0{direction}"] for direction in ("", "_reverse")]
        # PyTorch's gates come as reset, update, new; ONNX's as update, reset, new.
        return np.stack([np.concatenate([np.split(half, 3)[gate] for gate in (1, 0, 2)]) for half in halves])

    inputs = [
        graph.add("Transpose", [rows], perm=[1, 0, 2]),
        graph.matrix("gru.weight_ih", both("weight_ih"), 1),
        graph.matrix("gru.weight_hh", both("weight_hh"), 1),
        graph.constant("gru.bias", np.concatenate([both("bias_ih"), both("bias_hh")], axis=1)),
        graph.add("Cast", [lengths], to=INT32),
    ]
    results = ["gru_outputs", "gru_final"]
    graph.add("GRU", inputs, outputs=results, hidden_size=units, direction="bidirectional", linear_before_reset=1)
    shape = graph.ints([0, 0, 2 * units])
    outputs = graph.add("Transpose", ["gru_outputs"], perm=[2, 0, 1, 3])  # batch, step, direction, unit
    final = graph.add("Transpose", ["gru_final"], perm=[1, 0, 2])
    return graph.add("Reshape", [outputs, shape]), graph.add("Reshape", [final, graph.ints([0, 1, 2 * units])])


def _attention(graph: Graph, keys: str, query: str, lengths: str, n_steps: str, result: str) -> str:
    both = graph.add("Add", [_linear(graph, "attention.query", query), _linear(graph, "attention.key", keys)])
    scores = _linear(graph, "attention.score", graph.add("Tanh", [both]))  # (batch, n_steps, 1)
    scores = graph.add("Transpose", [scores], perm=[0, 2, 1])
    hidden = graph.add("Sub", [_mask(graph, n_steps, lengths), graph.number(1.0, np.float32)])
    far_below = graph.add("Mul", [hidden, graph.number(1e9, np.float32)])
    weights = graph.add("Softmax", [graph.add("Add", [scores, far_below])], axis=2)
    graph.add("Squeeze", [weights, graph.ints([1])], outputs=[result])
    return graph.add("Squeeze", [graph.add("MatMul", [weights, keys]), graph.ints([1])])
