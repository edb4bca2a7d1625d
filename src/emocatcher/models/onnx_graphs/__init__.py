"""A model as ONNX, written node by node, with a parity check.

The graph is written by hand rather than traced, so it consists of the few operators of the network, takes any batch
size and any length, and needs only ONNX Runtime, or another reader of ONNX. Needs the extra `export`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.dimensions import Dimension, scaled
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import Settings
from emocatcher.models.model_folder import Bundle, ModelConfig
from emocatcher.models.networks.registry import add_to_graph
from emocatcher.models.onnx_graphs import stored_weights
from emocatcher.models.onnx_graphs.encoder import STATISTICS
from emocatcher.models.onnx_graphs.graph import FLOAT, INT64, Graph, Weights
from emocatcher.models.onnx_graphs.ratings import add_ratings
from emocatcher.models.onnx_graphs.waveform import add_recognition

__all__ = ["as_onnx", "checked_onnx", "describe", "parity_error", "to_onnx", "to_waveform_onnx"]


def as_onnx(model: Bundle, *, waveform: bool = False, int8: bool = False) -> bytes:
    """Write a model folder's network as one file with its metadata (see `describe`).

    Args:
        model: an opened model folder.
        waveform: whether the file takes a waveform (`to_waveform_onnx`) or channels and lengths (`to_onnx`).
        int8: as for `to_onnx`.

    Raises:
        ModelError: if the weights cannot be read, or are not those of the network.
    """
    config, weights = model.config, stored_weights.read(model)
    try:
        if waveform:
            return to_waveform_onnx(weights, config, int8=int8)
        return to_onnx(weights, config.settings, config.labels, config.dimensions, int8=int8, metadata=describe(config))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"{model.path} has weights that do not fit the network of its settings ({type(error).__name__}: {error}). "
            "Copy the model folder again"
        ) from error


def to_onnx(
    weights: Weights,
    settings: Settings,
    labels: tuple[str, ...],
    dimensions: Sequence[Dimension] = (),
    *,
    int8: bool = False,
    metadata: Mapping[str, object] | None = None,
) -> bytes:
    """Write the network as an ONNX graph.

    Inputs are `log_mel` (batch, n_channels, n_frames) float32, with the two rows of the pitch below the mel bands if
    the front end has pitch, and `lengths` (batch,) int64; outputs are `logits` (batch, n_classes) and `attention`
    (batch, n_frames'). The metadata contains the labels, as JSON. The first input keeps the name `log_mel`, although it
    may have pitch rows, because published graphs have it. A network that estimates dimensions also has the output
    `dimensions` (batch, n_dimensions), ratings within their ranges. An encoder's graph also has
    `statistics` (batch, 2 · n_layers · width), those of `models.networks.encoder.statistics`.

    Args:
        weights: the weights of the `EmotionNetwork`, by name.
        settings: the network's and the front end's.
        labels: the classes, in order.
        dimensions: that the network estimates, in order.
        int8: whether the matrices are stored as 8-bit numbers with one scale per output channel.
        metadata: further metadata.

    Returns:
        the serialised model.

    Raises:
        MissingExtraError: when this package is imported without onnx.
    """
    graph = Graph(weights, int8=int8)
    answers = add_to_graph(graph, settings, "log_mel", "lengths", attention="attention")
    logits = add_ratings(graph, answers, len(labels), dimensions, "dimensions")
    graph.add("Identity", [logits], outputs=["logits"])
    outputs: dict[str, tuple[int, list[Any]]] = {
        "logits": (FLOAT, ["batch", len(labels)]),
        "attention": (FLOAT, ["batch", "n_steps"]),
    }
    if dimensions:
        outputs["dimensions"] = (FLOAT, ["batch", len(dimensions)])
    if settings.encoder:
        outputs[STATISTICS] = (FLOAT, ["batch", 2 * settings.encoder.n_layers * settings.encoder.width])
    return graph.serialise(
        {"log_mel": (FLOAT, ["batch", settings.front_end.n_channels, "n_frames"]), "lengths": (INT64, ["batch"])},
        outputs,
        {"labels": labels, **(metadata or {})},
    )


def to_waveform_onnx(weights: Weights, config: ModelConfig, *, int8: bool = False) -> bytes:
    """Write everything from waveform to answer as one ONNX graph: front end, detector, network, calibration.

    The input is `waveform` (n_samples,), float32, mono, in [-1, 1], at the model's sample rate, with one sample or
    more. The outputs are `probabilities` (n_classes,), calibrated; `attention` (n_frames',), one weight per
    frames_per_step · hop_length samples of the voiced span; `voiced_start_s` and `voiced_end_s`, scalars; and, if the
    model estimates some, `dimensions` (n_dimensions,), ratings within their ranges; all float32. No custom operator, no
    complex number.

    Args:
        weights: the weights of the network, by name.
        config: the model's; `describe` gives the metadata.
        int8: as for `to_onnx`.

    Returns:
        the serialised model.
    """
    graph = Graph(weights, int8=int8)
    add_recognition(graph, config)
    outputs: dict[str, tuple[int, list[Any]]] = {
        "probabilities": (FLOAT, [len(config.labels)]),
        "attention": (FLOAT, ["n_steps"]),
        "voiced_start_s": (FLOAT, []),
        "voiced_end_s": (FLOAT, []),
    }
    if config.dimensions:
        outputs["dimensions"] = (FLOAT, [len(config.dimensions)])
    return graph.serialise({"waveform": (FLOAT, ["n_samples"])}, outputs, describe(config))


def describe(config: ModelConfig) -> dict[str, object]:
    """The metadata of an exported file: labels, any dimensions, sample rate, temperature, name, version and licence."""
    ranges = {one.name: [one.low, one.high] for one in config.dimensions}
    return {
        "labels": config.labels,
        "sample_rate": config.settings.front_end.sample_rate,
        "temperature": config.temperature,
        "name": config.name,
        "version": config.version,
        "licence": config.training.licence,
        **({"dimensions": ranges} if ranges else {}),
    }


def parity_error(
    onnx_bytes: bytes,
    network: Any,
    channels: NDArray[np.float32],
    lengths: NDArray[np.int64],
    dimensions: Sequence[Dimension] = (),
) -> float:
    """The largest difference of any logit, attention weight or dimension between PyTorch and ONNX Runtime.

    Args:
        onnx_bytes: from `to_onnx`.
        network: the `EmotionNetwork` with the same weights.
        channels: shape (batch, n_channels, n_frames).
        lengths: shape (batch,).
        dimensions: as for `to_onnx`; their ratings are compared as shares of half a range.
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    names = ["logits", "attention", *(["dimensions"] if dimensions else [])]
    theirs = session.run(names, {"log_mel": channels, "lengths": lengths})
    network.eval()
    with torch.inference_mode():
        answers, attention = (part.numpy() for part in network(torch.from_numpy(channels), torch.from_numpy(lengths)))
    ours = [answers[:, : theirs[0].shape[1]], attention]
    if dimensions:
        ours.append(np.clip(answers[:, theirs[0].shape[1] :], -1.0, 1.0))
        theirs[2] = scaled(theirs[2], dimensions)
    return max(float(np.abs(our - their).max()) for our, their in zip(ours, theirs, strict=True))


def checked_onnx(
    network: Any,
    settings: Settings,
    labels: tuple[str, ...],
    dimensions: Sequence[Dimension] = (),
    *,
    int8: bool = False,
) -> bytes:
    """Write a network as ONNX, and refuse the graph if its answers differ from those of the network.

    Args:
        network: the `EmotionNetwork`.
        settings: as for `to_onnx`.
        labels: as for `to_onnx`.
        dimensions: as for `to_onnx`.
        int8: as for `to_onnx`; the graph that is compared is the one in 32 bits.

    Raises:
        ModelError: if a logit differs by more than 1e-3 on random clips of several lengths.
    """
    weights = network.stored_weights()
    payload = to_onnx(weights, settings, labels, dimensions)
    lengths = np.array([40, 1, 2, 17], np.int64)
    random, front_end = np.random.default_rng(0), settings.front_end
    noise = random.normal(-30.0, 20.0, (4, front_end.n_channels, 41)).astype(np.float32)
    tracks = noise[:, front_end.n_mels :]
    tracks[:] = random.uniform(0.0, 1.0, tracks.shape)
    error = parity_error(payload, network, noise, lengths, dimensions)
    if not error <= 1e-3:
        raise ModelError(f"The ONNX graph differs from the network by {error:.2g}. Nothing was written")
    return to_onnx(weights, settings, labels, dimensions, int8=True) if int8 else payload
