"""The residual network's part of a graph: log_mel, lengths → logits, attention."""

from __future__ import annotations

import math

import numpy as np

from emocatcher.config import ResidualNetwork
from emocatcher.export import layers
from emocatcher.export.graph import Graph

_SMALLEST_VARIANCE = 1e-5  # as in `emocatcher.residual`


def add_residual(graph: Graph, network: ResidualNetwork, log_mel: str, lengths: str, attention: str) -> str:
    """Add the network; its weights are those of `emocatcher.residual`. Else as `networks.add_network`."""
    # Beyond the longest clip there is nothing to attend to; PyTorch's graph leaves it out too.
    longest = graph.add("ReduceMax", [lengths], keepdims=1)
    log_mel = graph.add("Slice", [log_mel, graph.ints([0]), longest, graph.ints([2])])
    mask = layers.mask(graph, longest, lengths)
    x = graph.add("Mul", [_input(graph, network, log_mel), mask])
    for number, (dilation, stride) in enumerate(zip(network.dilations, network.strides, strict=True)):
        if stride > 1:
            lengths = graph.add("Div", [graph.add("Add", [lengths, graph.ints([stride - 1])]), graph.ints([stride])])
        name = f"blocks.{number}"
        convolved = layers.convolution(graph, f"{name}.conv", x, network.kernel_size, dilation, stride)
        if stride > 1:
            mask = layers.mask(graph, graph.add("Shape", [convolved], start=2, end=3), lengths)
        y = graph.add("Mul", [graph.gelu(layers.batch_norm(graph, f"{name}.norm", convolved)), mask])
        y = graph.add("Mul", [y, _excitation(graph, name, y, mask)])
        is_residual = stride == 1 and graph.weights[f"{name}.conv.weight"].shape[1] == network.channels
        x = graph.add("Add", [x, y]) if is_residual else y
    rows = graph.add("Transpose", [x], perm=[0, 2, 1])
    outputs, _ = layers.gru(graph, rows, lengths, network.gru_units)
    context = _statistics(graph, outputs, mask, attention)
    hidden = graph.gelu(layers.batch_norm(graph, "hidden_norm", layers.linear(graph, "hidden", context)))
    return layers.linear(graph, "output", hidden)


def _input(graph: Graph, network: ResidualNetwork, log_mel: str) -> str:
    power = graph.add("Exp", [graph.add("Mul", [log_mel, graph.number(math.log(10.0) / 10.0, np.float32)])])
    floor = graph.number(10.0 ** (network.noise_floor_db / 10.0), np.float32)
    above = graph.add("Log", [graph.add("Add", [power, floor])])
    centred = graph.add("Sub", [above, graph.weight("input.mean")])
    return graph.add("Div", [centred, graph.weight("input.deviation")])


def _excitation(graph: Graph, name: str, y: str, mask: str) -> str:
    """Each channel's weight, shape (batch, channels, 1), from its mean over the clip."""
    total, count = (graph.add("ReduceSum", [part, graph.ints([2])], keepdims=0) for part in (y, mask))
    squeezed = graph.add("Relu", [layers.linear(graph, f"{name}.squeeze", graph.add("Div", [total, count]))])
    weights = graph.add("Sigmoid", [layers.linear(graph, f"{name}.excite", squeezed)])
    return graph.add("Unsqueeze", [weights, graph.ints([2])])


def _statistics(graph: Graph, rows: str, mask: str, result: str) -> str:
    """Mean and deviation over time, weighted by attention, shape (batch, 4 · units)."""
    hidden = graph.add("Tanh", [layers.linear(graph, "attention.hidden", rows)])
    weights = layers.attention_weights(graph, layers.linear(graph, "attention.score", hidden), mask, result)
    mean = graph.add("MatMul", [weights, rows])
    away = graph.add("Sub", [rows, mean])
    variance = graph.add("MatMul", [weights, graph.add("Mul", [away, away])])
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, graph.number(_SMALLEST_VARIANCE, np.float32)])])
    return graph.add("Squeeze", [graph.add("Concat", [mean, deviation], axis=2), graph.ints([1])])
