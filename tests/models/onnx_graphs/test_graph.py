"""Weights of 8 bits: stored so, and nothing else rounded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_graphs import as_onnx, to_onnx, to_waveform_onnx
from emocatcher.models.onnx_graphs.graph import FLOAT, Graph

GRU = tuple(f"gru.{part}_l0{way}" for part in ("weight_ih", "weight_hh") for way in ("", "_reverse"))


def constants_of(payload: bytes) -> dict[str, np.ndarray]:
    return {constant.name: numpy_helper.to_array(constant)
            for constant in onnx.load_from_string(payload).graph.initializer}  # fmt: skip


def stored_and_read(opened: Any, matrix: np.ndarray, axis: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    graph = Graph({}, int8=True)
    graph.add("Add", [graph.matrix("m", matrix, axis), "zero"], outputs=["read"])
    payload = graph.serialise({"zero": (FLOAT, [])}, {"read": (FLOAT, list(matrix.shape))}, {})
    return constants_of(payload), np.asarray(opened(payload)(zero=np.zeros((), np.float32))[0])


@given(
    seed=st.integers(0, 2**16),
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    axis=st.integers(0, 1),
    scale=st.sampled_from([1e-6, 1.0, 1e3]),
)
@settings(max_examples=30, deadline=None)
def test_a_weight_is_off_by_half_a_step_of_its_channel(
    opened: Any, seed: int, shape: list[int], axis: int, scale: float
) -> None:
    random = np.random.default_rng(seed)
    matrix = (scale * random.normal(size=shape)).astype(np.float32)
    matrix *= np.exp(3 * random.normal(size=np.where(np.arange(len(shape)) == axis, shape, 1))).astype(np.float32)
    stored, read = stored_and_read(opened, matrix, axis)
    assert stored["m.int8"].dtype == np.int8
    assert stored["m.scale"].size == shape[axis]
    others = tuple(i for i in range(len(shape)) if i != axis)
    largest = np.abs(matrix).max(axis=others, keepdims=True)
    assert (np.abs(read - matrix) <= 0.5001 * largest / 127).all()
    assert (np.abs(stored["m.int8"].astype(int)).max(axis=others) == 127).all()  # all of the 255 steps are used


def test_a_channel_of_zeros_stays_so(opened: Any) -> None:
    matrix = np.array([[0, 0], [1, -2]], np.float32)
    _, read = stored_and_read(opened, matrix, 0)
    assert read[0].tolist() == [0.0, 0.0]
    assert read[1].tolist() == pytest.approx([1.0, -2.0], abs=0.01)


@pytest.mark.parametrize("waveform", [False, True])
def test_the_matrices_are_stored_as_8_bits(made_model: Bundle, waveform: bool) -> None:
    whole, small = (as_onnx(made_model, waveform=waveform, int8=int8) for int8 in (False, True))
    stored = constants_of(small)
    n_small = sum(constant.size for constant in stored.values() if constant.dtype == np.int8)
    n_matrices = sum(weight.size for weight in made_model.weights().values() if weight.ndim > 1)
    assert n_small == n_matrices
    n_weights = sum(weight.size for weight in made_model.weights().values())
    assert n_matrices > 0.98 * n_weights
    # What is left are vectors, the operators, and the front end's constants.
    front_end = 100_000 if waveform else 0
    assert 0.24 < (len(small) - front_end) / (len(whole) - front_end) < 0.34
    assert len(whole) - len(small) == pytest.approx(3 * n_matrices, rel=0.05)


def read_back(model: Bundle) -> dict[str, np.ndarray]:
    """The weights as int8 leaves them, worked out anew."""
    weights = dict(model.weights())

    def rounded(weight: np.ndarray, largest: np.ndarray) -> np.ndarray:
        return np.asarray(np.rint(weight / (largest / 127)) * (largest / 127), np.float32)

    for name, weight in model.weights().items():
        if weight.ndim > 1 and name not in GRU:
            weights[name] = rounded(weight, np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True))
    for name in GRU[::2]:  # both directions share a scale
        pair = [name, f"{name}_reverse"]
        largest = np.maximum(*(np.abs(weights[each]).max(axis=1, keepdims=True) for each in pair))
        for each in pair:
            weights[each] = rounded(weights[each], largest)
    return weights


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"])
@pytest.mark.parametrize("waveform", [False, True])
def test_nothing_but_the_weights_is_rounded(
    made_model: Bundle, opened: Any, made_clips: list[np.ndarray], waveform: bool, level: str
) -> None:
    """However far the runtime optimises: else an answer would depend on the machine."""
    config, weights = made_model.config, read_back(made_model)
    payload = as_onnx(made_model, waveform=waveform, int8=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it warns of the constants that it folds
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
    same: Callable[..., list[Any]]
    if waveform:
        same = opened(to_waveform_onnx(weights, config))
        inputs: list[dict[str, Any]] = [{"waveform": clip} for clip in made_clips[::4]]
    else:
        same = opened(to_onnx(weights, config.settings, config.labels))
        log_mel = np.random.default_rng(0).normal(-40, 20, (3, 64, 50)).astype(np.float32)
        inputs = [{"log_mel": log_mel, "lengths": np.array([50, 3, 20])}]
    for given_ in inputs:
        for ours, theirs in zip(session.run(None, given_), same(**given_), strict=True):
            assert np.abs(ours - theirs).max() <= 1e-4


@pytest.mark.parametrize("name", ["emocatcher-3", "emocatcher-2"])
def test_clear_labels_stay(name: str, opened: Any, made_clips: list[np.ndarray]) -> None:
    folder = model_folder.bundled(name)
    assert folder is not None
    model = model_folder.read(folder)
    whole, small = (opened(as_onnx(model, waveform=True, int8=int8)) for int8 in (False, True))
    pairs = [(whole(waveform=clip)[0], small(waveform=clip)[0]) for clip in made_clips]
    differences = np.array([np.abs(ours - theirs).max() for ours, theirs in pairs])
    assert differences.max() < 0.1
    assert differences.max() > 0  # else nothing was rounded
    clear = [(ours, theirs) for ours, theirs in pairs if np.diff(np.sort(ours)[-2:]) > 0.1]
    assert len(clear) > 3
    assert all(ours.argmax() == theirs.argmax() for ours, theirs in clear)
