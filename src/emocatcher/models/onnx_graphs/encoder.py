"""The encoder and its linear layer as a part of an ONNX graph: channels, lengths → logits, attention, statistics."""

from __future__ import annotations

import math

import numpy as np

from emocatcher.foundation.settings import NORM_EPSILON, Encoder, EncoderNetwork, FrontEnd
from emocatcher.models.onnx_graphs import layers
from emocatcher.models.onnx_graphs.graph import FLOAT, UINT8, Graph

STATISTICS = "statistics"  # the name of an output
WHOLE = ".int7"  # ends the names of whole weights
_WEIGHT_STEPS = 64  # of each sign
ROW_STEPS = 127  # of each sign


def add_encoder(
    graph: Graph,
    network: EncoderNetwork,
    front_end: FrontEnd,  # noqa: ARG001 (its spectrogram is Whisper's)
    channels: str,
    lengths: str,
    attention: str,
    encoder: Encoder,
) -> str:
    """Add the network, with the weights of `models.networks.encoder`; see `registry.add_to_graph`."""
    longest = graph.add("ReduceMax", [lengths], keepdims=1)
    channels = graph.add("Slice", [channels, graph.ints([0]), longest, graph.ints([2])])
    mask = layers.mask(graph, longest, lengths)
    x = graph.add("Mul", [_scaled(graph, channels, mask, network.LOUDEST_DB), mask])
    x = graph.add("Mul", [graph.gelu(layers.convolution(graph, "encoder.conv1", x, 3)), mask])
    x = graph.gelu(layers.convolution(graph, "encoder.conv2", x, 3, stride=2))
    x = graph.add("Transpose", [x], perm=[0, 2, 1])
    n_steps = graph.add("Shape", [x], start=1, end=2)
    steps = graph.add("Div", [graph.add("Add", [lengths, graph.ints([1])]), graph.ints([2])])
    pieces = _Pieces(graph, n_steps, steps, network.LONGEST_PIECE)
    x = pieces.split(graph.add("Add", [x, _positions(graph, pieces.place, encoder.width)]), encoder.width)
    states = []
    for number in range(encoder.n_layers):
        x = _layer(graph, f"encoder.layers.{number}", x, pieces.far_below, encoder)
        states.append(pieces.join(x, encoder.width))
    mask = layers.mask(graph, n_steps, steps)  # (batch, 1, n_steps)
    return _classify(graph, network, states, graph.add("Transpose", [mask], perm=[0, 2, 1]), attention)


def _scaled(graph: Graph, channels: str, mask: str, loudest_db: float) -> str:
    """Add `whisper.scale`; `mask` has the shape (batch, 1, n_frames)."""
    beyond = graph.add("Mul", [graph.add("Sub", [mask, graph.number(1.0, np.float32)]), graph.number(1e9, np.float32)])
    loudest = graph.add("ReduceMax", [graph.add("Add", [channels, beyond])], axes=[1, 2], keepdims=1)
    shifted = graph.add("Add", [graph.add("Sub", [channels, loudest]), graph.number(loudest_db, np.float32)])
    scaled = graph.add("Div", [shifted, graph.number(40.0, np.float32)])
    return graph.add("Add", [scaled, graph.number(1.0, np.float32)])


class _Pieces:
    """Cuts clips as `whisper.WhisperEncoder.forward` does: each piece is a row of a batch.

    A mask of all steps by all would grow with the square of a clip's length.

    Args:
        graph: to add to.
        n_padded: the number of steps of all clips, shape (1,), int64.
        n_steps: the valid ones of each clip, shape (batch,), int64.
        longest: the most steps of a piece.

    Attributes:
        place: of each step in its piece, shape (batch, n_padded); beyond a clip's end, any.
        far_below: -1e9 where a piece has no valid step, else 0, shape (n_pieces, 1, 1, n_steps of the longest piece).
    """

    def __init__(self, graph: Graph, n_padded: str, n_steps: str, longest: int) -> None:
        self._graph = graph
        one, minus_one = graph.ints([1]), graph.ints([-1])
        above = graph.add("Add", [n_steps, graph.ints([longest - 1])])
        n_pieces = graph.add("Div", [above, graph.ints([longest])])
        last = graph.add("Sub", [n_pieces, one])
        size = graph.add("Div", [graph.add("Add", [n_steps, last]), n_pieces])
        most_pieces, longest_piece = (graph.add("ReduceMax", [part], keepdims=1) for part in (n_pieces, size))
        # Which step each place of each piece takes; and, the other way round, which place each step has.
        size_by_row, last_by_row, n_by_row = (graph.add("Unsqueeze", [part, one]) for part in (size, last, n_steps))
        start = graph.add("Mul", [self._range(most_pieces), size_by_row])  # (batch, most pieces)
        places = self._range(longest_piece)
        step = graph.add("Add", [graph.add("Unsqueeze", [start, graph.ints([2])]), places])
        end = graph.add("Min", [graph.add("Add", [start, size_by_row]), n_by_row])
        valid = graph.add("Less", [step, graph.add("Unsqueeze", [end, graph.ints([2])])])
        taken = graph.add("Min", [step, graph.add("Sub", [n_padded, one])])
        clip = self._range(graph.add("Shape", [n_steps]))  # (batch,)
        first = graph.add("Unsqueeze", [graph.add("Mul", [clip, n_padded]), graph.ints([1, 2])])
        rows = graph.add("Concat", [minus_one, longest_piece], axis=0)
        self._taken = graph.add("Reshape", [graph.add("Add", [taken, first]), rows])
        steps = self._range(n_padded)
        piece = graph.add("Min", [graph.add("Div", [steps, size_by_row]), last_by_row])
        self.place = graph.add("Sub", [steps, graph.add("Mul", [piece, size_by_row])])
        row = graph.add("Add", [graph.add("Unsqueeze", [graph.add("Mul", [clip, most_pieces]), one]), piece])
        place = graph.add("Min", [self.place, graph.add("Sub", [longest_piece, one])])
        self._given = graph.add("Add", [graph.add("Mul", [row, longest_piece]), place])
        hidden = graph.add("Sub", [graph.add("Cast", [valid], to=FLOAT), graph.number(1.0, np.float32)])
        hidden = graph.add("Reshape", [graph.add("Mul", [hidden, graph.number(1e9, np.float32)]), rows])
        self.far_below = graph.add("Unsqueeze", [hidden, graph.ints([1, 2])])

    def split(self, x: str, width: int) -> str:
        """Shape (batch, n_padded, width) to (n_pieces, n_steps of the longest piece, width)."""
        return self._gather(x, self._taken, width)

    def join(self, x: str, width: int) -> str:
        """The other way round; steps beyond a clip's end get any numbers."""
        return self._gather(x, self._given, width)

    def _gather(self, x: str, rows: str, width: int) -> str:
        return self._graph.add("Gather", [self._graph.add("Reshape", [x, self._graph.ints([-1, width])]), rows])

    def _range(self, n: str) -> str:
        """Whole numbers from 0; `n` has the shape (1,)."""
        return self._graph.range(self._graph.number(0, np.int64), self._graph.add("Squeeze", [n]))


def _positions(graph: Graph, place: str, width: int) -> str:
    """Add `whisper.positions` at places of the shape (batch, n_steps): shape (batch, n_steps, width)."""
    half = width // 2
    rates = np.exp(np.float32(-math.log(10_000.0) / (half - 1)) * np.arange(half, dtype=np.float32))
    column = graph.add("Unsqueeze", [graph.add("Cast", [place], to=FLOAT), graph.ints([2])])
    angles = graph.add("Mul", [column, graph.constant("encoder.rates", rates[None])])
    return graph.add("Concat", [graph.add("Sin", [angles]), graph.add("Cos", [angles])], axis=2)


def _layer(graph: Graph, name: str, x: str, far_below: str, encoder: Encoder) -> str:
    """Add a layer: shape (batch, n_steps, width) to the same; `far_below` is added to the scores."""
    rows, head = _norm(graph, f"{name}.self_attn_layer_norm", x), encoder.width // encoder.n_heads
    split = graph.ints([0, 0, encoder.n_heads, head])
    query, key, value = (
        graph.add("Reshape", [_linear(graph, f"{name}.self_attn.{part}_proj", rows), split]) for part in "qkv"
    )
    query, value = (graph.add("Transpose", [part], perm=[0, 2, 1, 3]) for part in (query, value))
    scores = graph.add("MatMul", [query, graph.add("Transpose", [key], perm=[0, 2, 3, 1])])
    scores = graph.add("Add", [graph.add("Mul", [scores, graph.number(float(head**-0.5), np.float32)]), far_below])
    attended = graph.add("MatMul", [graph.add("Softmax", [scores], axis=3), value])
    together = graph.add("Transpose", [attended], perm=[0, 2, 1, 3])
    joined = graph.add("Reshape", [together, graph.ints([0, 0, encoder.width])])
    x = graph.add("Add", [x, _linear(graph, f"{name}.self_attn.out_proj", joined)])
    rows = graph.gelu(_linear(graph, f"{name}.fc1", _norm(graph, f"{name}.final_layer_norm", x)))
    return graph.add("Add", [x, _linear(graph, f"{name}.fc2", rows)])


def _norm(graph: Graph, name: str, x: str) -> str:
    parts = [graph.weight(f"{name}.{part}") for part in ("weight", "bias")]
    return graph.add("LayerNormalization", [x, *parts], axis=2, epsilon=NORM_EPSILON)


def _linear(graph: Graph, name: str, rows: str) -> str:
    if graph.int8:
        product = _int8_product(graph, name, rows)
    else:
        product = graph.add("MatMul", [rows, graph.constant(f"{name}.weight.T", graph.weights[f"{name}.weight"].T)])
    if f"{name}.bias" in graph.weights:
        return graph.add("Add", [product, graph.weight(f"{name}.bias")])
    return product


def _int8_product(graph: Graph, name: str, rows: str) -> str:
    """Multiply in whole numbers, which takes half the time on processors made for it.

    Each row has a scale of its own, so that a clip's answer does not depend on its batch. Weights have 7 bits, because
    other processors add two products in 16 bits: 2 · 255 · 64 < 2^15.
    """
    weights = graph.weights[f"{name}.weight"].T.astype(np.float32)
    largest = np.maximum(np.abs(weights).max(axis=0, keepdims=True), np.float32(1e-30))
    whole = graph.constant(f"{name}{WHOLE}", np.rint(weights * (_WEIGHT_STEPS / largest)).astype(np.int8))
    highest = graph.add("ReduceMax", [graph.add("Abs", [rows])], axes=[2], keepdims=1)
    highest = graph.add("Max", [highest, graph.number(1e-30, np.float32)])
    scaled = graph.add("Mul", [rows, graph.add("Div", [graph.number(float(ROW_STEPS), np.float32), highest])])
    shifted = graph.add("Add", [graph.add("Round", [scaled]), graph.number(128.0, np.float32)])
    zero = graph.constant("zero_point", np.array(128, np.uint8))
    sums = graph.add("MatMulInteger", [graph.add("Cast", [shifted], to=UINT8), whole, zero])
    by_row = graph.add("Mul", [graph.add("Cast", [sums], to=FLOAT), highest])
    return graph.add("Mul", [by_row, graph.constant(f"{name}.scale", largest / np.float32(ROW_STEPS * _WEIGHT_STEPS))])


def _classify(graph: Graph, network: EncoderNetwork, states: list[str], mask: str, attention: str) -> str:
    """Return `layers.outputs` of the states of all layers, and add the output `statistics`.

    `mask` has the shape (batch, n_steps, 1).
    """
    count = graph.add("ReduceSum", [mask, graph.ints([1])], keepdims=1)
    statistics, terms = [], []  # the mean of a term over time is the statistic
    for state in states:
        mean = graph.add("Div", [_over_time(graph, graph.add("Mul", [state, mask])), count])
        distance = graph.add("Sub", [state, mean])
        squares = graph.add("Mul", [distance, distance])
        variance = graph.add("Div", [_over_time(graph, graph.add("Mul", [squares, mask])), count])
        smallest = graph.number(network.SMALLEST_VARIANCE, np.float32)
        deviation = graph.add("Sqrt", [graph.add("Add", [variance, smallest])])
        statistics += [mean, deviation]
        terms += [state, graph.add("Div", [squares, deviation])]
    pooled = graph.add("Concat", statistics, axis=2)
    pooled = graph.add("Squeeze", [pooled, graph.ints([1])], outputs=[STATISTICS])
    scaled = graph.add("Div", [graph.add("Sub", [pooled, graph.weight("mean")]), graph.weight("deviation")])
    logits, outputs = layers.outputs(graph, "", scaled)
    answer = graph.add("ArgMax", [logits], axis=1, keepdims=0)
    weights = graph.weights["output.weight"]
    contrast = np.split((weights - weights.mean(axis=0)) / graph.weights["deviation"], len(terms), axis=1)
    usual = np.split(graph.weights["mean"], len(terms))
    shares = []
    for number, term in enumerate(terms):
        chosen = graph.add("Gather", [graph.constant(f"contrast.{number}", contrast[number]), answer])
        centred = graph.add("Sub", [term, graph.constant(f"usual.{number}", usual[number])])
        shares.append(graph.add("MatMul", [centred, graph.add("Unsqueeze", [chosen, graph.ints([2])])]))
    positive = graph.add("Mul", [graph.add("Relu", [_sum(graph, shares)]), mask])
    # Without any step that speaks for the answer, all count alike.
    is_none = graph.add("Less", [_over_time(graph, positive), graph.number(1e-30, np.float32)])
    even = graph.add("Mul", [mask, graph.add("Cast", [is_none], to=FLOAT)])
    positive = graph.add("Add", [positive, even])
    weighed = graph.add("Div", [positive, _over_time(graph, positive)])
    graph.add("Squeeze", [weighed, graph.ints([2])], outputs=[attention])
    return outputs


def _sum(graph: Graph, parts: list[str]) -> str:
    total = parts[0]
    for part in parts[1:]:
        total = graph.add("Add", [total, part])
    return total


def _over_time(graph: Graph, x: str) -> str:
    return graph.add("ReduceSum", [x, graph.ints([1])], keepdims=1)
