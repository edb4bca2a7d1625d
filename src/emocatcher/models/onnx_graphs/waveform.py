"""One self-contained graph: waveform → probabilities, attention and voiced span."""

from __future__ import annotations

import numpy as np

from emocatcher.models.model_folder import ModelConfig
from emocatcher.models.networks.registry import add_to_graph
from emocatcher.models.onnx_graphs.front_end import add_front_end
from emocatcher.models.onnx_graphs.graph import DOUBLE, FLOAT, Graph
from emocatcher.models.onnx_graphs.ratings import add_ratings
from emocatcher.models.onnx_graphs.voiced_span import add_clicks, add_span


def add_recognition(graph: Graph, config: ModelConfig) -> None:
    """Add all steps from `waveform` (n_samples,) to the outputs that `to_waveform_onnx` names.

    Args:
        graph: the graph to extend.
        config: of the model.
    """
    settings, front_end = config.settings, config.settings.front_end
    waveform = _without_offset(graph, "waveform")
    log_mel, tracks = add_front_end(graph, front_end, waveform)
    first, last = add_span(graph, settings.vad, log_mel, add_clicks(graph, front_end, waveform, log_mel))
    edges = [graph.add("Unsqueeze", [edge, graph.ints([0])]) for edge in (first, last)]
    channels = graph.add("Concat", [log_mel, tracks], axis=1) if tracks else log_mel
    voiced = graph.add("Transpose", [graph.add("Slice", [channels, *edges, graph.ints([0])])], perm=[1, 0])
    clip = graph.add("Unsqueeze", [voiced, graph.ints([0])])
    length = graph.add("Sub", [edges[1], edges[0]])
    answers = add_to_graph(graph, settings, clip, length, attention="attention_of_batch")
    logits = add_ratings(graph, answers, len(config.labels), config.dimensions, "dimensions_of_batch")
    calibrated = graph.add("Div", [logits, graph.number(config.temperature, np.float32)])
    rows = {"probabilities": graph.add("Softmax", [calibrated], axis=1), "attention": "attention_of_batch"}
    if config.dimensions:
        rows["dimensions"] = "dimensions_of_batch"
    for name, row in rows.items():
        graph.add("Squeeze", [row, graph.ints([0])], outputs=[name])
    n_samples = graph.add("Cast", [graph.add("Squeeze", [graph.add("Shape", ["waveform"])])], to=FLOAT)
    duration_s = graph.add("Div", [n_samples, graph.number(float(front_end.sample_rate), np.float32)])
    for name, edge in (("voiced_start_s", first), ("voiced_end_s", last)):
        at_s = graph.add(
            "Mul", [graph.add("Cast", [edge], to=FLOAT), graph.number(front_end.frame_period_s, np.float32)]
        )
        graph.add("Min", [at_s, duration_s], outputs=[name])


def _without_offset(graph: Graph, waveform: str) -> str:
    """Add the computation of `emocatcher.audio.remove_offset`; the mean is of 64-bit numbers, as there."""
    mean = graph.add("ReduceMean", [graph.add("Cast", [waveform], to=DOUBLE)], keepdims=0)
    return graph.add("Sub", [waveform, graph.add("Cast", [mean], to=FLOAT)])
