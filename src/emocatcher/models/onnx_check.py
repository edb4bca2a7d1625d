"""Check an ONNX file before it is run: only the operators of this project's networks, and nothing outside the file.

A graph is a program. One of a stranger could loop forever, read another file as its weights, or ask for more memory
than any machine has. The file is read here without a library: the base install has none for ONNX. The numbers are those
of the format's schema (onnx.proto3); the wire format is described in "Protocol Buffers: Encoding".
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from emocatcher.foundation.errors import ModelError

OPERATORS = frozenset({
    "Abs", "Add", "ArgMax", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "Cos", "Div", "Erf", "Exp",
    "Expand", "GRU", "Gather", "Identity", "LayerNormalization", "Less", "Log", "MatMul", "MatMulInteger", "Max",
    "MaxPool", "Mean", "Min", "Mul", "Pad", "Range", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Round",
    "Shape", "Sigmoid", "Sin", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
})  # fmt: skip
_ON_CONSTANTS = frozenset({"Cast", "Mul"})  # weights of 8 or 16 bits; no other constants are computed at the start
_MOST_NODES = 20_000
_LARGEST_INT = 1 << 16  # in an attribute or a constant: an axis, a size, a number of padded frames
_TO_THE_END = np.iinfo(np.int64).max  # the end of a slice
_FLOAT, _UINT8, _INT8, _INT32, _INT64, _BOOL, _FLOAT16 = 1, 2, 3, 6, 7, 9, 10
_ITEM_SIZE = {_FLOAT: 4, _UINT8: 1, _INT8: 1, _INT32: 4, _INT64: 8, _BOOL: 1, _FLOAT16: 2}  # bytes
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types
_Value = int | memoryview


def check(payload: bytes, name: str) -> None:
    """Refuse a graph that is not of the kind that `emocatcher.models.onnx_graphs` writes for a network.

    Args:
        payload: the file's content.
        name: of the file, for errors.

    Raises:
        ModelError: if it is not ONNX, has another operator or a sub-graph, refers to another file, or has a number that
            no network here needs.
    """
    try:
        _check_model(memoryview(payload))
    except _RefusedError as error:
        raise ModelError(f"{name} is not run: {error}. Use a model that emocatcher has written") from None


class _RefusedError(Exception):
    """A graph is refused, with the reason."""


def _check_model(model: memoryview) -> None:
    graphs = []
    for number, value in fields(model):
        if number in (20, 25):
            raise _RefusedError("it has functions or training steps")
        if number == 7:
            graphs.append(message(value))
    if len(graphs) != 1:
        raise _RefusedError("it is not an ONNX file with one graph")
    shapes: dict[bytes, tuple[int, ...]] = {}  # of constants
    nodes = []
    for number, value in fields(graphs[0]):
        if number == 15:
            raise _RefusedError("it has sparse constants")
        if number == 5:
            constant, shape = _check_tensor(message(value))
            if constant in shapes:
                raise _RefusedError("it has two constants of one name")
            shapes[constant] = shape
        elif number == 1:
            nodes.append(message(value))
    if len(nodes) > _MOST_NODES:
        raise _RefusedError(f"it has {len(nodes):,} nodes; allowed are {_MOST_NODES:,}")
    for node in nodes:
        _check_node(node, shapes)


def _check_node(node: memoryview, shapes: dict[bytes, tuple[int, ...]]) -> None:
    inputs, outputs, operator, domain = [], [], "", ""
    for number, value in fields(node):
        if number == 1:
            inputs.append(bytes(message(value)))
        elif number == 2:
            outputs.append(bytes(message(value)))
        elif number == 4:
            operator = bytes(message(value)).decode(errors="replace")
        elif number == 7:
            domain = bytes(message(value)).decode(errors="replace")
        elif number == 5:
            _check_attribute(message(value))
    if operator not in OPERATORS or domain not in ("", "ai.onnx"):
        raise _RefusedError(f"it has the operator '{operator}'; allowed are {', '.join(sorted(OPERATORS))}")
    if all(one in shapes for one in inputs):
        given = [shapes[one] for one in inputs]
        try:
            shape = np.broadcast_shapes(*given)
        except ValueError:
            raise _RefusedError(f"it computes constants of the shapes {given}") from None
        # The product of a row and a column would be larger than both: only a scale per channel is needed.
        if operator not in _ON_CONSTANTS or math.prod(shape) > max(map(math.prod, given), default=0):
            raise _RefusedError(f"it computes constants of the shapes {given} with '{operator}'")
        shapes.update(dict.fromkeys(outputs, shape))


def _check_attribute(attribute: memoryview) -> None:
    for number, value in fields(attribute):
        if number in (5, 6, 10, 11, 22, 23):
            raise _RefusedError("it has a graph or a tensor inside an operator")
        if number == 3:
            _check_ints([_signed(value)])
        elif number == 8:
            _check_ints(list(_varints(value)))


def _check_tensor(tensor: memoryview) -> tuple[bytes, tuple[int, ...]]:
    """Return the name and the shape of a constant."""
    name, kind, raw, dims = b"", 0, memoryview(b""), []
    for number, value in fields(tensor):
        if number == 13 or (number == 14 and value != 0):
            raise _RefusedError("it has weights in another file, whose content no hash describes")
        if number == 1:
            dims += list(_varints(value))
        elif number == 2:
            kind = _signed(value)
        elif number == 8:
            name = bytes(message(value))
        elif number == 9:
            raw = message(value)
        elif number in (4, 5, 6, 7, 10, 11):
            raise _RefusedError("it has constants that are not stored as raw data")
    if kind not in _ITEM_SIZE:
        raise _RefusedError(f"it has constants of type {kind}")
    if min(dims, default=0) < 0 or math.prod(dims) * _ITEM_SIZE[kind] != len(raw):
        raise _RefusedError(f"a constant of shape {tuple(dims)} has {len(raw):,} bytes")
    if kind in (_INT32, _INT64):
        values = np.frombuffer(raw, "<i4" if kind == _INT32 else "<i8")
        _check_ints(values[values != _TO_THE_END].tolist())
    return name, tuple(dims)


def _check_ints(values: list[int]) -> None:
    if large := [value for value in values if abs(value) > _LARGEST_INT]:
        raise _RefusedError(f"it has the number {large[0]}; allowed are -{_LARGEST_INT} to {_LARGEST_INT}")


def fields(content: memoryview) -> Iterator[tuple[int, _Value]]:
    """Yield the number and the value of each field of a message: an int for numbers, else its bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            length, at = _varint(content, at)
        elif wire in (_FIXED_32, _FIXED_64):
            length = 4 if wire == _FIXED_32 else 8
        else:
            raise _RefusedError("it is not an ONNX file, or is damaged")
        if at + length > len(content):
            raise _RefusedError("it is not an ONNX file, or breaks off")
        yield key >> 3, content[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _RefusedError("it is not an ONNX file, or is damaged")


def _varints(value: _Value) -> Iterator[int]:
    """Yield the numbers of a repeated field, which may be packed."""
    if isinstance(value, int):
        yield _signed(value)
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield _signed(number)


def _signed(value: _Value) -> int:
    if not isinstance(value, int):
        raise _RefusedError("it is not an ONNX file, or is damaged")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def message(value: _Value) -> memoryview:
    """Return the bytes of a field."""
    if isinstance(value, int):
        raise _RefusedError("it is not an ONNX file, or is damaged")
    return value
