"""An ONNX graph under construction: nodes, constants, and weights in 32 or 8 bits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import MissingExtraError

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ModuleNotFoundError as error:
    raise MissingExtraError("Writing ONNX", "export") from error

# The first version with LayerNormalization. Later ones have Gelu, but the runtimes of many phones are older.
_OPSET, _IR_VERSION = 17, 8

Weights = Mapping[str, NDArray[Any]]
FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
UINT8, INT32, INT64, BOOL = TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL


class Graph:
    """Collects nodes and constants; the first output of every node is named after the node's operator and number.

    Args:
        weights: the weights of the network, by name.
        int8: whether matrices are stored as 8-bit numbers with one scale per output channel.
    """

    def __init__(self, weights: Weights, *, int8: bool = False) -> None:
        self.weights = weights
        self.int8 = int8
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def add(self, operator: str, inputs: Sequence[str], *, outputs: list[str] | None = None, **attributes: Any) -> str:
        """Add a node, and return the name of its first output."""
        outputs = outputs or [f"{operator}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an array under a name; weights of 16 bits are converted to 32 when a program opens the graph."""
        if value.dtype == np.float16:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
            return self.add("Cast", [name], to=FLOAT)
        self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def weight(self, name: str) -> str:
        """A vector of the network, never in 8 bits."""
        return self.constant(name, self.weights[name])

    def matrix(self, name: str, value: NDArray[np.float32], channel_axis: int) -> str:
        """An array of weights; with `int8`, rounded to 255 steps per channel and scaled back where it is used.

        Only the stored weights become smaller: all sums are of 32-bit numbers, and activations are not rounded.
        DequantizeLinear would express the same, but ONNX Runtime fuses it with a matrix product into one operator
        (MatMulNBits) that rounds the activations to 8 bits too, on a desktop but not in a browser.
        """
        if not self.int8:
            return self.constant(name, value)
        value = value.astype(np.float32)
        others = tuple(axis for axis in range(value.ndim) if axis != channel_axis)
        largest = np.abs(value).max(axis=others, keepdims=True)
        scale = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
        rounded = self.constant(f"{name}.int8", np.rint(value / scale).astype(np.int8))
        return self.add("Mul", [self.add("Cast", [rounded], to=FLOAT), self.constant(f"{name}.scale", scale)])

    def ints(self, values: Sequence[int]) -> str:
        """Whole numbers, shape (n,)."""
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float | int, kind: type[np.generic]) -> str:
        """A scalar."""
        return self.constant(f"{kind.__name__}_{value!r}", np.array(value, kind))

    def range(self, start: str, end: str) -> str:
        """Whole numbers from one scalar up to, not including, another."""
        return self.add("Range", [start, end, self.number(1, np.int64)])

    def gelu(self, rows: str) -> str:
        """x/2 · (1 + erf(x/√2)), in operators that every runtime has; ONNX Runtime fuses them into one."""
        erf = self.add("Erf", [self.add("Div", [rows, self.number(float(np.sqrt(2.0)), np.float32)])])
        whole = self.add("Mul", [rows, self.add("Add", [erf, self.number(1.0, np.float32)])])
        return self.add("Mul", [whole, self.number(0.5, np.float32)])

    def serialise(
        self,
        inputs: dict[str, tuple[int, list[Any]]],
        outputs: dict[str, tuple[int, list[Any]]],
        metadata: Mapping[str, object],
    ) -> bytes:
        """The finished model.

        Args:
            inputs: element type and shape, by name; a name in a shape stands for any size.
            outputs: as `inputs`.
            metadata: facts about the model, for programs that open the file; values other than text become JSON.
        """
        tensor = helper.make_tensor_value_info
        drawn = helper.make_graph(
            self.nodes,
            "emocatcher",
            [tensor(name, *value) for name, value in inputs.items()],
            [tensor(name, *value) for name, value in outputs.items()],
            list(self.constants.values()),
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(drawn, opset_imports=opset, ir_version=_IR_VERSION, producer_name="emocatcher")
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
        helper.set_model_props(model, texts)
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:  # the weights have other shapes than the settings
            raise ValueError(str(error).partition("\n")[0]) from error
        payload: bytes = model.SerializeToString(deterministic=True)
        return payload
