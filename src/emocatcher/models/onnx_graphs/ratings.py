"""Dimensions of emotion as a part of an ONNX graph: a network's outputs → logits, and ratings within their ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emocatcher.foundation.dimensions import Dimension
from emocatcher.models.onnx_graphs.graph import Graph


def add_ratings(graph: Graph, answers: str, n_classes: int, dimensions: Sequence[Dimension], name: str) -> str:
    """Separate the dimensions from the logits, and add them as (batch, n_dimensions).

    Args:
        graph: the graph to extend.
        answers: from `registry.add_to_graph`, shape (batch, n_classes + n_dimensions).
        n_classes: number of emotions.
        dimensions: in order; without any, nothing is added.
        name: to give to the ratings.

    Returns:
        the name of the logits, shape (batch, n_classes).
    """
    if not dimensions:
        return answers
    n_all = n_classes + len(dimensions)
    logits, scaled = (
        graph.add("Slice", [answers, graph.ints([first]), graph.ints([last]), graph.ints([1])])
        for first, last in ((0, n_classes), (n_classes, n_all))
    )
    low, high = (np.array([getattr(one, bound) for one in dimensions], np.float32) for bound in ("low", "high"))
    within = graph.add("Clip", [scaled, graph.number(-1.0, np.float32), graph.number(1.0, np.float32)])
    spread = graph.add("Mul", [within, graph.constant("dimensions.half_range", (high - low) / 2)])
    graph.add("Add", [spread, graph.constant("dimensions.middle", (high + low) / 2)], outputs=[name])
    return logits
