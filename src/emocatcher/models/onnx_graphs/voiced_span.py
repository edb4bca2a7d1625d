"""Voice activity detection as a part of an ONNX graph: log_mel → the edges of the voiced span."""

from __future__ import annotations

import numpy as np

from emocatcher.features import voiced_span
from emocatcher.foundation.settings import FrontEnd, VoiceActivity
from emocatcher.models.onnx_graphs.graph import BOOL, DOUBLE, FLOAT, INT32, INT64, Graph

_LOWEST_DB = -100.0  # 20·log10 of the smallest amplitude in `emocatcher.features.voiced_span`


def add_clicks(graph: Graph, front_end: FrontEnd, waveform: str, log_mel: str) -> str:
    """Add the computation of `emocatcher.features.voiced_span.clicks`.

    Args:
        graph: the graph to extend.
        front_end: settings of the frames.
        waveform: shape (n_samples,), float32, without offset.
        log_mel: shape (n_frames, n_mels), float32.

    Returns:
        shape (n_frames,), bool.
    """
    size, near, far = voiced_span.click_block(front_end), voiced_span.CLICK_NEAR, voiced_span.CLICK_FAR
    zero, zeros, step = graph.number(0, np.int64), graph.ints([0]), graph.number(size, np.int64)
    n_samples = graph.add("Shape", [waveform])
    n_blocks = graph.add("Div", [graph.add("Add", [n_samples, graph.ints([size - 1])]), graph.ints([size])])
    padded = graph.add("Pad", [waveform, graph.ints([0, size - 1])])
    padded = graph.add("Slice", [padded, zeros, graph.add("Mul", [n_blocks, graph.ints([size])]), zeros])
    blocks = graph.add("Reshape", [padded, graph.ints([-1, size])])
    power = graph.add("ReduceMean", [graph.add("Mul", [blocks, blocks])], axes=[1], keepdims=0)
    natural = graph.add("Log", [graph.add("Max", [power, graph.number(voiced_span.CLICK_FLOOR, np.float32)])])
    level = graph.add("Mul", [natural, graph.number(float(10.0 / np.log(10.0)), np.float32)])
    quiet = graph.number(float(10.0 * np.log10(voiced_span.CLICK_FLOOR)), np.float32)
    row = graph.add("Unsqueeze", [graph.add("Pad", [level, graph.ints([far, far]), quiet]), graph.ints([0, 1])])
    pooled = graph.add("MaxPool", [row], kernel_shape=[far - near], strides=[1])
    around = graph.add("Squeeze", [pooled, graph.ints([0, 1])])
    after = graph.ints([far + near + 1])
    neighbours = [
        graph.add("Slice", [around, first, graph.add("Add", [n_blocks, first]), zeros]) for first in (zeros, after)
    ]
    excess = graph.add("Sub", [level, graph.add("Max", neighbours)])
    clicked = graph.add("Cast", [graph.add("Greater", [excess, graph.number(voiced_span.CLICK_DB, np.float32)])],
                        to=INT64)  # fmt: skip
    n_clicked = graph.add("Concat", [zeros, graph.add("CumSum", [clicked, zero])], axis=0)
    n_frames = graph.add("Gather", [graph.add("Shape", [log_mel]), zero])
    hop, half = graph.number(front_end.hop_length, np.int64), front_end.win_length // 2
    centres = graph.add("Mul", [graph.range(zero, n_frames), hop])
    starts = graph.add("Max", [graph.add("Sub", [centres, graph.number(half, np.int64)]), zero])
    ends = graph.add("Add", [centres, graph.number(half + size - 1, np.int64)])
    at_start, at_end = (
        graph.add("Gather", [n_clicked, graph.add("Min", [graph.add("Div", [edge, step]), n_blocks])])
        for edge in (starts, ends)
    )
    return graph.add("Greater", [at_end, at_start])


def add_span(graph: Graph, settings: VoiceActivity, log_mel: str, clicked: str | None = None) -> tuple[str, str]:
    """Add the computation of `emocatcher.features.voiced_span.detect`, including its fallbacks to the whole clip.

    Sums and comparisons are of 64-bit numbers, as there: with one frame more or less, the network gets another clip.

    Args:
        graph: the graph to extend.
        settings: smoothing, margin and floor.
        log_mel: shape (n_frames, n_mels), float32, dB.
        clicked: shape (n_frames,), bool, the frames that do not count; None if all count.

    Returns:
        the first frame and the frame after the last: scalars, int64.
    """
    zero, one = graph.number(0, np.int64), graph.number(1, np.int64)
    n_all = n_frames = graph.add("Gather", [graph.add("Shape", [log_mel]), zero])
    places = None
    if clicked:
        among = graph.add("Cast", [clicked], to=INT32)
        none_counts = graph.add("Cast", [graph.add("ReduceMin", [among], keepdims=0)], to=BOOL)
        counts = graph.add("Or", [graph.add("Not", [clicked]), none_counts])
        places = graph.add("Squeeze", [graph.add("NonZero", [counts]), graph.ints([0])])
        log_mel = graph.add("Gather", [log_mel, places])
        n_frames = graph.add("Squeeze", [graph.add("Shape", [places])])
    loudness, differs = _loudness(graph, settings, log_mel)
    curve = _smooth(graph, settings, _sorted(graph, loudness, n_frames), n_frames)
    last_frame = graph.add("Sub", [n_frames, one])
    frames = graph.range(zero, n_frames)
    after = graph.add("Min", [graph.add("Add", [frames, one]), last_frame])
    before = graph.add("Max", [graph.add("Sub", [frames, one]), zero])
    rise = graph.add("Sub", [graph.add("Gather", [curve, after]), graph.add("Gather", [curve, before])])
    # One step at the ends, two elsewhere; a single frame has no gradient, and its 0 steps must not be a divisor.
    steps = graph.add("Cast", [graph.add("Max", [graph.add("Sub", [after, before]), one])], to=DOUBLE)
    steepest = graph.add("ArgMax", [graph.add("Div", [rise, steps])], axis=0, keepdims=0)
    above = graph.add("Cast", [graph.add("Greater", [loudness, graph.add("Gather", [curve, steepest])])], to=INT32)
    margin = graph.number(settings.margin_frames, np.int64)
    first = graph.add("ArgMax", [above], axis=0, keepdims=0)
    last = graph.add("ArgMax", [above], axis=0, keepdims=0, select_last_index=1)
    if places:
        first, last = (graph.add("Gather", [places, edge]) for edge in (first, last))
    first = graph.add("Max", [graph.add("Sub", [first, margin]), zero])
    last = graph.add("Min", [graph.add("Add", [last, margin]), n_all])
    any_above = graph.add("Cast", [graph.add("ReduceMax", [above], keepdims=0)], to=BOOL)
    found = graph.add("And", [graph.add("And", [differs, any_above]), graph.add("Less", [first, last])])
    return graph.add("Where", [found, first, zero]), graph.add("Where", [found, last, n_all])


def _loudness(graph: Graph, settings: VoiceActivity, log_mel: str) -> tuple[str, str]:
    """One value for each frame, shape (n_frames,), 64-bit; and whether the values differ."""
    doubled = graph.add("Mul", [log_mel, graph.number(2.0, np.float32)])
    doubled = graph.add("Max", [doubled, graph.number(_LOWEST_DB, np.float32)])
    lowest, highest = (
        graph.add("Cast", [graph.add(operator, [doubled], keepdims=0)], to=DOUBLE)
        for operator in ("ReduceMin", "ReduceMax")
    )
    floor = graph.add("Sub", [highest, graph.number(settings.floor_db, np.float64)])
    lowest = graph.add("Max", [lowest, floor])
    floored = graph.add("Max", [doubled, graph.add("Cast", [lowest], to=FLOAT)])
    total = graph.add("ReduceSum", [graph.add("Cast", [floored], to=DOUBLE), graph.ints([1])], keepdims=0)
    n_mels = graph.add("Cast", [graph.add("Gather", [graph.add("Shape", [log_mel]), graph.number(1, np.int64)])],
                       to=DOUBLE)  # fmt: skip
    above_floor = graph.add("Sub", [total, graph.add("Mul", [lowest, n_mels])])
    # If all values are equal, the quotient would be 0 / 0; it is not used then, but must not be NaN.
    spread = graph.add("Sub", [highest, lowest])
    spread = graph.add("Where", [graph.add("Greater", [spread, graph.number(0.0, np.float64)]), spread,
                                 graph.number(1.0, np.float64)])  # fmt: skip
    loudness = graph.add("Div", [above_floor, spread])
    quietest, loudest = (graph.add(operator, [loudness], keepdims=0) for operator in ("ReduceMin", "ReduceMax"))
    return loudness, graph.add("Less", [quietest, loudest])


def _sorted(graph: Graph, values: str, n_values: str) -> str:
    size = graph.add("Unsqueeze", [n_values, graph.ints([0])])
    outputs = [f"sorted_{len(graph.nodes)}", f"order_{len(graph.nodes)}"]
    return graph.add("TopK", [values, size], outputs=outputs, axis=0, largest=0)


def _smooth(graph: Graph, settings: VoiceActivity, values: str, n_values: str) -> str:
    """Gaussian filter, truncated at 4 sigma, with reflected edges (d c b a | a b c d | d c b a)."""
    radius = int(4.0 * settings.smoothing_sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / settings.smoothing_sigma) ** 2)
    starts = graph.add("Unsqueeze", [graph.range(graph.number(0, np.int64), n_values), graph.ints([1])])
    reach = graph.range(graph.number(-radius, np.int64), graph.number(radius + 1, np.int64))
    # In the periodic row a b c d d c b a a b c d …, position m counts up in the first half of a period, then down.
    period = graph.add("Add", [n_values, n_values])
    position = graph.add("Mod", [graph.add("Add", [starts, reach]), period])
    mirrored = graph.add("Sub", [graph.add("Sub", [period, graph.number(1, np.int64)]), position])
    window = graph.add("Gather", [values, graph.add("Min", [position, mirrored])])
    return graph.add("MatMul", [window, graph.constant("gaussian", kernel / kernel.sum())])
