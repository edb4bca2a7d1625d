"""The residual network as a part of an ONNX graph: channels, lengths → logits, attention."""

from __future__ import annotations

import math

import numpy as np

from emocatcher.foundation.settings import FrontEnd, ResidualNetwork
from emocatcher.models.onnx_graphs import layers
from emocatcher.models.onnx_graphs.graph import Graph


def add_residual(
    graph: Graph, network: ResidualNetwork, front_end: FrontEnd, channels: str, lengths: str, attention: str
) -> str:
    """Add the network, with the weights of `models.networks.residual`; see `registry.add_to_graph`."""
    # Frames beyond the longest clip are cut off, as in the PyTorch module.
    longest = graph.add("ReduceMax", [lengths], keepdims=1)
    channels = graph.add("Slice", [channels, graph.ints([0]), longest, graph.ints([2])])
    mask = layers.mask(graph, longest, lengths)
    log_mel = channels
    if front_end.pitch:
        log_mel, tracks = (
            graph.add("Slice", [channels, graph.ints([first]), graph.ints([last]), graph.ints([1])])
            for first, last in ((0, front_end.n_mels), (front_end.n_mels, front_end.n_channels))
        )
    moving, still = _input(graph, network, log_mel, tracks if front_end.pitch else None, mask)
    answers = [
        _branch(graph, network, f"branches.{number}", moving, still, mask, lengths)
        for number in range(network.branches)
    ]
    logits, weights = ([answer[part] for answer in answers] for part in (0, 1))
    graph.add("Squeeze", [graph.add("Mean", weights), graph.ints([1])], outputs=[attention])
    return graph.add("Mean", logits)


def _branch(
    graph: Graph, network: ResidualNetwork, name: str, x: str, still: str | None, mask: str, lengths: str
) -> tuple[str, str]:
    """Logits (batch, n_classes) and attention (batch, 1, n_frames') of one branch."""
    for number, (dilation, stride) in enumerate(zip(network.dilations, network.strides, strict=True)):
        if stride > 1:
            lengths = graph.add("Div", [graph.add("Add", [lengths, graph.ints([stride - 1])]), graph.ints([stride])])
        block = f"{name}.blocks.{number}"
        convolved = layers.convolution(graph, f"{block}.conv", x, network.kernel_size, dilation, stride)
        if number == 0 and still:
            offset = layers.linear(graph, f"{name}.still", still)
            convolved = graph.add("Add", [convolved, graph.add("Unsqueeze", [offset, graph.ints([2])])])
        if stride > 1:
            mask = layers.mask(graph, graph.add("Shape", [convolved], start=2, end=3), lengths)
        y = graph.add("Mul", [graph.gelu(layers.batch_norm(graph, f"{block}.norm", convolved)), mask])
        y = graph.add("Mul", [y, _excitation(graph, block, y, mask)])
        is_residual = stride == 1 and graph.weights[f"{block}.conv.weight"].shape[1] == network.channels
        x = graph.add("Add", [x, y]) if is_residual else y
    rows = graph.add("Transpose", [x], perm=[0, 2, 1])
    outputs, _ = layers.gru(graph, f"{name}.gru", rows, lengths, network.gru_units)
    hidden = graph.add("Tanh", [layers.linear(graph, f"{name}.attention.hidden", outputs)])
    scores = layers.linear(graph, f"{name}.attention.score", hidden)
    weights = layers.attention_weights(graph, scores, mask)
    context = layers.linear(graph, f"{name}.hidden", _statistics(graph, outputs, weights))
    activated = graph.gelu(layers.batch_norm(graph, f"{name}.hidden_norm", context))
    return layers.outputs(graph, f"{name}.", activated)[1], weights


def _input(
    graph: Graph, network: ResidualNetwork, log_mel: str, tracks: str | None, mask: str
) -> tuple[str, str | None]:
    """Channels that change over time, (batch, n_moving, n_frames), and constant ones, (batch, n_still) or None."""
    power = graph.add("Exp", [graph.add("Mul", [log_mel, graph.number(math.log(10.0) / 10.0, np.float32)])])
    power, still = graph.add("Mul", [power, mask]), []
    if network.level == "relative":
        level = _mean_over_time(graph, graph.add("ReduceMean", [power], axes=[1], keepdims=1), mask)
        level = graph.add("Add", [level, graph.number(network.SMALLEST_LEVEL, np.float32)])
        power = graph.add("Div", [power, level])
        still.append(graph.add("Log", [level]))
    floor = graph.number(network.noise_floor, np.float32)
    bands = graph.add("Log", [graph.add("Add", [power, floor])])
    if network.contrast:
        colour = _mean_over_time(graph, graph.add("Mul", [bands, mask]), mask)
        bands = graph.add("Sub", [bands, colour])
        still.append(colour)
    if tracks:
        relative, height = _relative_pitch(graph, tracks, mask)
        bands = graph.add("Concat", [bands, *relative], axis=1)
        still.append(height)
    if not network.contrast:
        spread = [graph.add("Expand", [channel, graph.add("Shape", [mask])]) for channel in still]
        channels = graph.add("Concat", [bands, *spread], axis=1)
        return graph.add("Mul", [_standardised(graph, channels, slice(None)), mask]), None
    n_still = graph.weights["branches.0.still.weight"].shape[1]
    moving = _standardised(graph, bands, slice(None, -n_still))
    constant = _standardised(graph, graph.add("Concat", still, axis=1), slice(-n_still, None))
    return graph.add("Mul", [moving, mask]), graph.add("Squeeze", [constant, graph.ints([2])])


def _relative_pitch(graph: Graph, tracks: str, mask: str) -> tuple[tuple[str, str, str], str]:
    """The three channels that change over time, (batch, 1, n_frames) each, and the clip's mean, (batch, 1, 1)."""
    octaves, periodicity = (
        graph.add("Slice", [tracks, graph.ints([row]), graph.ints([row + 1]), graph.ints([1])]) for row in (0, 1)
    )
    constants = ResidualNetwork
    share = graph.add("Sub", [periodicity, graph.number(constants.UNVOICED, np.float32)])
    share = graph.add("Div", [share, graph.number(constants.VOICED - constants.UNVOICED, np.float32)])
    within = graph.add("Clip", [share, graph.number(0.0, np.float32), graph.number(1.0, np.float32)])
    voice = graph.add("Mul", [within, mask])
    total, weight = (
        graph.add("ReduceSum", [part, graph.ints([2])], keepdims=1)
        for part in (graph.add("Mul", [octaves, voice]), voice)
    )
    height = graph.add("Div", [total, graph.add("Add", [weight, graph.number(constants.LEAST_VOICE, np.float32)])])
    relative = graph.add("Mul", [graph.add("Sub", [octaves, height]), voice])
    (before, after), (sure_before, sure_after) = (_neighbours(graph, part) for part in (relative, voice))
    step = graph.add("Mul", [graph.add("Sub", [after, before]), graph.add("Mul", [sure_after, sure_before])])
    return (relative, voice, step), height


def _neighbours(graph: Graph, x: str) -> tuple[str, str]:
    """The values `PITCH_STEP` frames before and after, 0 beyond the ends: both of the shape of `x`."""
    step = ResidualNetwork.PITCH_STEP
    padded = graph.add("Pad", [x, graph.ints([0, 0, step, 0, 0, step])])
    start, end = (0, -2 * step), (2 * step, np.iinfo(np.int64).max)
    before, after = (
        graph.add("Slice", [padded, graph.ints([first]), graph.ints([last]), graph.ints([2])])
        for first, last in (start, end)
    )
    return before, after


def _standardised(graph: Graph, channels: str, which: slice) -> str:
    """Channels minus their mean, divided by their standard deviation."""
    mean, deviation = (
        graph.constant(f"input.{part}.{which.start}.{which.stop}", graph.weights[f"input.{part}"][which])
        for part in ("mean", "deviation")
    )
    return graph.add("Div", [graph.add("Sub", [channels, mean]), deviation])


def _mean_over_time(graph: Graph, masked: str, mask: str) -> str:
    """From (batch, n, n_frames), 0 beyond each clip's end, to (batch, n, 1)."""
    total, count = (graph.add("ReduceSum", [part, graph.ints([2])], keepdims=1) for part in (masked, mask))
    return graph.add("Div", [total, count])


def _excitation(graph: Graph, name: str, y: str, mask: str) -> str:
    """Each channel's weight, shape (batch, channels, 1), from its mean over the clip."""
    mean = graph.add("Squeeze", [_mean_over_time(graph, y, mask), graph.ints([2])])
    squeezed = graph.add("Relu", [layers.linear(graph, f"{name}.squeeze", mean)])
    weights = graph.add("Sigmoid", [layers.linear(graph, f"{name}.excite", squeezed)])
    return graph.add("Unsqueeze", [weights, graph.ints([2])])


def _statistics(graph: Graph, rows: str, weights: str) -> str:
    """Mean and deviation over time, weighted by attention, shape (batch, 4 · units)."""
    mean = graph.add("MatMul", [weights, rows])
    away = graph.add("Sub", [rows, mean])
    variance = graph.add("MatMul", [weights, graph.add("Mul", [away, away])])
    smallest = graph.number(ResidualNetwork.SMALLEST_VARIANCE, np.float32)
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, smallest])])
    return graph.add("Squeeze", [graph.add("Concat", [mean, deviation], axis=2), graph.ints([1])])
