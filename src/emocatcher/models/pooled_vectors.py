"""The vector from which a network answers, pooled over time: the embedding of a clip.

Graphs of networks with an encoder have it as an output. In others it is an inner value, which is made an output when it
is first asked for: of their files nothing changes, and programs that only recognise are not slowed down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import ModelError
from emocatcher.models import model_folder, onnx_check
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_session import OnnxSession, open_session

_GRAPH, _NODE, _OUTPUT = 7, 1, 12  # fields of ONNX's schema (onnx.proto3)
_BYTES = 2  # wire type
_LONG_ENOUGH = 40  # frames
_LARGEST = 1 << 16  # values of a vector
_HIDDEN = re.compile(r"(branches\.\d+\.)?hidden\.weight\.T")  # of the layer behind the pooling


class PooledVectors:
    """Computes the vectors of clips. It is thread-safe.

    Args:
        model: an opened model folder.
        session: of the same model.

    Raises:
        ModelError: if the network has no such value, or the model folder cannot be read.
    """

    def __init__(self, model: Bundle, session: OnnxSession) -> None:
        self._path, self._session = model.onnx_path, session
        self._n_channels = model.config.settings.front_end.n_channels
        if session.has_encoder:
            weights = model.weights()
            self._mean, self._deviation = (weights.get(name, np.empty(0)) for name in ("mean", "deviation"))
            if not self._mean.shape == self._deviation.shape != (0,) or not (self._deviation > 0).all():
                raise ModelError(
                    f"{model.path} has no mean and deviation of its statistics. Copy the model folder again"
                )
            return
        payload = self._path.read_bytes()
        onnx_check.check(payload, str(self._path))
        self._names = list(_inner_names(payload))
        if not self._names:
            raise ModelError(f"{model.config.name} has no vector before its last layers. Use another model")
        self._inner = open_session(payload + _as_outputs(self._names))

    @cached_property
    def n_values(self) -> int:
        """Number of values of a vector."""
        return len(self.of(np.zeros((self._n_channels, _LONG_ENOUGH), np.float32)))

    def of(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vector of a clip.

        Args:
            clip: shape (n_channels, n_frames), `Features.channels`.

        Returns:
            shape (n_values,), float32. With an encoder: mean and deviation over time of each of its states, minus their
            mean over the training part, divided by their deviation there. Otherwise: what attention has pooled.

        Raises:
            ModelError: if the network fails, or its values are not finite.
            MemoryError: if there is not enough memory.
        """
        if self._session.has_encoder:
            statistics = self._session.statistics(clip)
            if statistics.shape != self._mean.shape:
                raise ModelError(f"{self._path} does not fit {model_folder.WEIGHTS}. Copy the model folder again")
            return np.asarray((statistics - self._mean) / self._deviation, np.float32)
        inputs: dict[str, NDArray[Any]] = {"log_mel": clip[None], "lengths": np.array([clip.shape[1]], np.int64)}
        found = [np.asarray(one) for one in self._session.run_in(self._inner, self._names, inputs)]
        vector = np.concatenate([one.reshape(-1) for one in found])
        if vector.dtype != np.float32 or not 0 < len(vector) <= _LARGEST or not np.isfinite(vector).all():
            raise ModelError(f"{self._path} returns no usable vector. The model is damaged: use another one")
        return vector


def _inner_names(payload: bytes) -> Iterator[str]:
    """Yield the names of the values that go into the layers `hidden`, one for each branch of the network."""
    stored: dict[str, str] = {}  # the name of the weight from which a value is made
    for inputs, outputs, operator in _nodes(payload):
        if operator in ("Mul", "Cast"):  # weights of 8 or 16 bits are converted first
            stored[outputs[0]] = inputs[-1].removesuffix(".scale")
        elif operator == "MatMul" and _HIDDEN.fullmatch(stored.get(inputs[1], inputs[1])):
            yield inputs[0]


def _nodes(payload: bytes) -> Iterator[tuple[list[str], list[str], str]]:
    """Yield inputs, outputs and operator of each node of a graph that was checked."""
    for number, graph in onnx_check.fields(memoryview(payload)):
        for field, node in onnx_check.fields(onnx_check.message(graph)) if number == _GRAPH else ():
            if field == _NODE:
                parts: dict[int, list[str]] = {1: [], 2: [], 4: []}
                for part, value in onnx_check.fields(onnx_check.message(node)):
                    if part in parts:
                        parts[part].append(bytes(onnx_check.message(value)).decode(errors="replace"))
                yield parts[1], parts[2], parts[4][0]


def _as_outputs(names: list[str]) -> bytes:
    """Return what, appended to a file, adds outputs to its graph: messages of one field are merged when read."""
    return _field(_GRAPH, b"".join(_field(_OUTPUT, _field(1, name.encode())) for name in names))


def _field(number: int, content: bytes) -> bytes:
    size, head = len(content), bytes([number << 3 | _BYTES])
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + content
