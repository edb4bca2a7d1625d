"""Layers that several networks use in their ONNX graphs, with the weights of PyTorch under their names there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.settings import NORM_EPSILON
from emocatcher.models.onnx_graphs.graph import FLOAT, INT32, Graph


def mask(graph: Graph, size: str, lengths: str) -> str:
    """Shape (batch, 1, size), float32: 1 where valid. `size` has the shape (1,), `lengths` (batch,); both int64."""
    steps = graph.range(graph.number(0, np.int64), graph.add("Squeeze", [size]))
    valid = graph.add("Less", [steps, graph.add("Unsqueeze", [lengths, graph.ints([1, 2])])])
    return graph.add("Cast", [valid], to=FLOAT)


def convolution(graph: Graph, name: str, x: str, kernel_size: int, dilation: int = 1, stride: int = 1) -> str:
    """From (batch, n_in, n_frames) to (batch, n_out, ⌈n_frames / stride⌉)."""
    weight = f"{name}.weight"
    inputs = [x, graph.matrix(weight, graph.weights[weight], 0), graph.weight(f"{name}.bias")]
    return graph.add(
        "Conv",
        inputs,
        kernel_shape=[kernel_size],
        pads=[dilation * (kernel_size // 2)] * 2,
        dilations=[dilation],
        strides=[stride],
    )


def batch_norm(graph: Graph, name: str, x: str) -> str:
    """Over the second axis, with the statistics of the training."""
    parts = [graph.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    return graph.add("BatchNormalization", [x, *parts], epsilon=NORM_EPSILON)


def linear(graph: Graph, name: str, rows: str) -> str:
    """Over the last axis."""
    weight = graph.matrix(f"{name}.weight.T", graph.weights[f"{name}.weight"].T, 1)
    return graph.add("Add", [graph.add("MatMul", [rows, weight]), graph.weight(f"{name}.bias")])


def outputs(graph: Graph, prefix: str, features: str) -> tuple[str, str]:
    """Add the last layers of a network (see `emotion_network.outputs`), whose names begin with `prefix`.

    Returns:
        the names of the logits, and of the logits with the dimensions behind them; the same if there are none.
    """
    logits = linear(graph, f"{prefix}output", features)
    if f"{prefix}dimensions.weight" not in graph.weights:
        return logits, logits
    return logits, graph.add("Concat", [logits, linear(graph, f"{prefix}dimensions", features)], axis=1)


def gru(graph: Graph, name: str, rows: str, lengths: str, units: int) -> tuple[str, str]:
    """From (batch, n_steps, n_in) to outputs (batch, n_steps, 2 · units) and final states (batch, 1, 2 · units)."""

    def both(part: str) -> NDArray[Any]:
        halves = [graph.weights[f"{name}.{part}_l0{direction}"] for direction in ("", "_reverse")]
        # PyTorch's order of the gates is reset, update, new; ONNX's is update, reset, new.
        return np.stack([np.concatenate([np.split(half, 3)[gate] for gate in (1, 0, 2)]) for half in halves])

    inputs = [
        graph.add("Transpose", [rows], perm=[1, 0, 2]),
        graph.matrix(f"{name}.weight_ih", both("weight_ih"), 1),
        graph.matrix(f"{name}.weight_hh", both("weight_hh"), 1),
        graph.constant(f"{name}.bias", np.concatenate([both("bias_ih"), both("bias_hh")], axis=1)),
        graph.add("Cast", [lengths], to=INT32),
    ]
    results = [f"{name}.outputs", f"{name}.final"]
    graph.add("GRU", inputs, outputs=results, hidden_size=units, direction="bidirectional", linear_before_reset=1)
    shape = graph.ints([0, 0, 2 * units])
    outputs = graph.add("Transpose", results[:1], perm=[2, 0, 1, 3])  # batch, step, direction, unit
    final = graph.add("Transpose", results[1:], perm=[1, 0, 2])
    return graph.add("Reshape", [outputs, shape]), graph.add("Reshape", [final, graph.ints([0, 1, 2 * units])])


def attention_weights(graph: Graph, scores: str, valid: str) -> str:
    """Softmax over a clip's steps.

    Args:
        graph: the graph to extend.
        scores: shape (batch, n_steps, 1).
        valid: shape (batch, 1, n_steps), from `mask`.

    Returns:
        the weights, shape (batch, 1, n_steps).
    """
    hidden = graph.add("Sub", [valid, graph.number(1.0, np.float32)])
    far_below = graph.add("Mul", [hidden, graph.number(1e9, np.float32)])
    flat = graph.add("Transpose", [scores], perm=[0, 2, 1])
    return graph.add("Softmax", [graph.add("Add", [flat, far_below])], axis=2)
