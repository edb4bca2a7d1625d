"""The network as ONNX, written node by node, with a parity check.

Written by hand rather than traced: the graph is the few operators that the network is, takes any batch and any
length, and needs nothing at run time but ONNX Runtime.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from emocatcher.config import Settings
from emocatcher.errors import ModelError

_OPSET = 20  # the first with Gelu

Weights = dict[str, NDArray[Any]]


def to_onnx(weights: Weights, settings: Settings, labels: tuple[str, ...]) -> bytes:
    """Write the network as an ONNX graph.

    Inputs are `log_mel` (batch, n_mels, n_frames) float32 and `lengths` (batch,) int64; outputs are `logits`
    (batch, n_classes) and `attention` (batch, n_frames'). The labels stand in the metadata, as JSON.

    Args:
        weights: of `emocatcher.model.EmotionNetwork`, by name.
        settings: the network's and the front end's.
        labels: the classes, in order.

    Returns:
        the serialised model.
    """
    graph = _Graph(weights)
    network = settings.network
    # The GRU and the pooling need as many frames as one pool, whatever the batch holds.
    padded = graph.add("Pad", ["log_mel", graph.ints([0, 0, 0, 0, 0, network.pool_size - 1])])
    n_frames = graph.add("Shape", [padded], start=2, end=3)
    mask = _mask(graph, n_frames, "lengths")
    rows = graph.add("Mul", [padded, mask])
    for number in range(len(network.conv_channels)):
        rows = _block(graph, f"blocks.{number}", rows, mask, network.kernel_size)
    pool = [network.pool_size]
    steps = graph.add("Transpose", [graph.add("MaxPool", [rows], kernel_shape=pool, strides=pool)], perm=[0, 2, 1])
    pooled = graph.add("Div", ["lengths", graph.ints([network.pool_size])])
    pooled = graph.add("Max", [pooled, graph.ints([1])])
    # Beyond the longest clip there is nothing to attend to; PyTorch's graph leaves it out too.
    longest = graph.add("ReduceMax", [pooled], keepdims=1)
    steps = graph.add("Slice", [steps, graph.ints([0]), longest, graph.ints([1])])
    outputs, final = _gru(graph, _norm(graph, "norm", steps), pooled, network.gru_units)
    context = _attention(graph, outputs, final, pooled, longest)
    hidden = graph.add("Gelu", [_batch_norm(graph, "hidden_norm", _linear(graph, "hidden", context))])
    _linear(graph, "output", hidden, result="logits")
    return _model(graph, settings, labels)


def parity_error(onnx_bytes: bytes, network: Any, log_mel: NDArray[np.float32], lengths: NDArray[np.int64]) -> float:
    """The largest difference of any logit or attention weight between PyTorch and ONNX Runtime.

    Args:
        onnx_bytes: from `to_onnx`.
        network: the `EmotionNetwork` with the same weights.
        log_mel: shape (batch, n_mels, n_frames).
        lengths: shape (batch,).
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"log_mel": log_mel, "lengths": lengths})
    network.eval()
    with torch.inference_mode():
        ours = network(torch.from_numpy(log_mel), torch.from_numpy(lengths))
    return max(float(np.abs(our.numpy() - their).max()) for our, their in zip(ours, theirs, strict=True))


def checked_onnx(network: Any, settings: Settings, labels: tuple[str, ...]) -> bytes:
    """Write a network as ONNX, and refuse it where it does not say the same as the network.

    Raises:
        ModelError: if a logit differs by more than 1e-3 on made clips of several lengths.
    """
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    payload = to_onnx(weights, settings, labels)
    lengths = np.array([40, 1, 2, 17], np.int64)
    noise = np.random.default_rng(0).normal(-30.0, 20.0, (4, settings.front_end.n_mels, 41))
    error = parity_error(payload, network, noise.astype(np.float32), lengths)
    if not error <= 1e-3:
        raise ModelError(f"The ONNX graph differs from the network by {error:.2g}. Nothing was written")
    return payload


class _Graph:
    """Collects nodes and constants; every node's first output is named after its number."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def add(self, operator: str, inputs: list[str], *, outputs: list[str] | None = None, **attributes: Any) -> str:
        outputs = outputs or [f"{operator}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def ints(self, values: list[int]) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))


def _mask(graph: _Graph, size: str, lengths: str) -> str:
    """Shape (batch, 1, size), float32: 1 where valid."""
    steps = graph.add("Range", [graph.constant("zero", np.array(0)), graph.add("Squeeze", [size]),
                                graph.constant("one", np.array(1))])  # fmt: skip
    valid = graph.add("Less", [steps, graph.add("Unsqueeze", [lengths, graph.ints([1, 2])])])
    return graph.add("Cast", [valid], to=TensorProto.FLOAT)


def _block(graph: _Graph, name: str, rows: str, mask: str, kernel_size: int) -> str:
    weights = [graph.weight(f"{name}.conv.weight"), graph.weight(f"{name}.conv.bias")]
    convolved = graph.add("Conv", [rows, *weights], pads=[kernel_size // 2] * 2)
    normed = _norm(graph, f"{name}.norm", graph.add("Transpose", [convolved], perm=[0, 2, 1]))
    activated = graph.add("Transpose", [graph.add("Gelu", [normed])], perm=[0, 2, 1])
    return graph.add("Mul", [activated, mask])


def _norm(graph: _Graph, name: str, rows: str) -> str:
    weights = [graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")]
    return graph.add("LayerNormalization", [rows, *weights], axis=-1, epsilon=1e-5)


def _batch_norm(graph: _Graph, name: str, rows: str) -> str:
    parts = [graph.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    return graph.add("BatchNormalization", [rows, *parts], epsilon=1e-5)


def _linear(graph: _Graph, name: str, rows: str, result: str | None = None) -> str:
    weight = graph.constant(f"{name}.weight.T", graph.weights[f"{name}.weight"].T)
    product = graph.add("MatMul", [rows, weight])
    return graph.add("Add", [product, graph.weight(f"{name}.bias")], outputs=[result] if result else None)


def _gru(graph: _Graph, rows: str, lengths: str, units: int) -> tuple[str, str]:
    """Outputs (batch, n_steps, 2 · units) and final states (batch, 1, 2 · units)."""

    def both(part: str) -> NDArray[Any]:
        halves = [graph.weights[f"gru.{part}_l0{direction}"] for direction in ("", "_reverse")]
        # PyTorch's gates come as reset, update, new; ONNX's as update, reset, new.
        return np.stack([np.concatenate([np.split(half, 3)[gate] for gate in (1, 0, 2)]) for half in halves])

    bias = np.concatenate([both("bias_ih"), both("bias_hh")], axis=1)
    inputs = [
        graph.add("Transpose", [rows], perm=[1, 0, 2]),
        graph.constant("gru.weight_ih", both("weight_ih")),
        graph.constant("gru.weight_hh", both("weight_hh")),
        graph.constant("gru.bias", bias),
        graph.add("Cast", [lengths], to=TensorProto.INT32),
    ]
    results = ["gru_outputs", "gru_final"]
    graph.add("GRU", inputs, outputs=results, hidden_size=units, direction="bidirectional", linear_before_reset=1)
    shape = graph.ints([0, 0, 2 * units])
    outputs = graph.add("Transpose", ["gru_outputs"], perm=[2, 0, 1, 3])  # batch, step, direction, unit
    final = graph.add("Transpose", ["gru_final"], perm=[1, 0, 2])
    return graph.add("Reshape", [outputs, shape]), graph.add("Reshape", [final, graph.ints([0, 1, 2 * units])])


def _attention(graph: _Graph, keys: str, query: str, lengths: str, n_steps: str) -> str:
    both = graph.add("Add", [_linear(graph, "attention.query", query), _linear(graph, "attention.key", keys)])
    scores = _linear(graph, "attention.score", graph.add("Tanh", [both]))  # (batch, n_steps, 1)
    scores = graph.add("Transpose", [scores], perm=[0, 2, 1])
    hidden = graph.add("Sub", [_mask(graph, n_steps, lengths), graph.constant("one_f", np.array(1.0, np.float32))])
    far_below = graph.add("Mul", [hidden, graph.constant("far", np.array(1e9, np.float32))])
    weights = graph.add("Softmax", [graph.add("Add", [scores, far_below])], axis=2)
    graph.add("Squeeze", [weights, graph.ints([1])], outputs=["attention"])
    return graph.add("Squeeze", [graph.add("MatMul", [weights, keys]), graph.ints([1])])


def _model(graph: _Graph, settings: Settings, labels: tuple[str, ...]) -> bytes:
    n_mels = settings.front_end.n_mels
    inputs = [
        helper.make_tensor_value_info("log_mel", TensorProto.FLOAT, ["batch", n_mels, "n_frames"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(labels)]),
        helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["batch", "n_steps"]),
    ]
    drawn = helper.make_graph(graph.nodes, "emocatcher", inputs, outputs, list(graph.constants.values()))
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(drawn, opset_imports=opset, ir_version=10, producer_name="emocatcher")
    helper.set_model_props(model, {"labels": json.dumps(labels)})
    onnx.checker.check_model(model)
    payload: bytes = model.SerializeToString(deterministic=True)
    return payload
