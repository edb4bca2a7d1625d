"""The ONNX graph gives the same as the network."""

import json
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.models.model_folder import Bundle
from emocatcher.models.networks.emotion_network import EmotionNetwork
from emocatcher.models.onnx_graphs import as_onnx, checked_onnx, parity_error, to_onnx

CABG = load_preset("cabg")
RESIDUAL = load_preset("emocatcher-2")
LABELS = ("glad", "traurig", "wütend", "bored, or so")


def graph_of(network: EmotionNetwork, recipe: Settings) -> bytes:
    return to_onnx({name: tensor.numpy() for name, tensor in network.state_dict().items()}, recipe, LABELS)


@pytest.fixture(scope="module")
def network(make_network: Any) -> EmotionNetwork:
    made: EmotionNetwork = make_network(CABG)
    return made


@pytest.fixture(scope="module")
def graph(network: EmotionNetwork) -> bytes:
    return graph_of(network, CABG)


@pytest.fixture(scope="module")
def residual(make_network: Any) -> EmotionNetwork:
    made: EmotionNetwork = make_network(RESIDUAL)
    return made


@pytest.fixture(scope="module")
def residual_graph(residual: EmotionNetwork) -> bytes:
    return graph_of(residual, RESIDUAL)


def clips(lengths: list[int], extra: int = 0, n_mels: int = 64) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(lengths), n_mels, max(lengths) + extra)
    log_mel = np.random.default_rng(sum(lengths)).normal(-40.0, 20.0, shape)
    return log_mel.astype(np.float32), np.array(lengths, np.int64)


def voices(lengths: list[int], extra: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """As `clips`, of 96 bands, and below them octaves above 1 Hz and how periodic a frame is."""
    log_mel, counts = clips(lengths, extra, 96)
    tracks = np.random.default_rng(1).uniform([[6.0], [0.0]], [[9.5], [1.0]], (len(log_mel), 2, log_mel.shape[2]))
    return np.concatenate([log_mel, tracks.astype(np.float32)], axis=1), counts


@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6), extra=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_it_gives_the_same_as_pytorch(network: EmotionNetwork, graph: bytes, lengths: list[int], extra: int) -> None:
    assert parity_error(graph, network, *clips(lengths, extra)) <= 1e-4


@pytest.mark.parametrize(
    "changes",
    [{"pool_size": 1}, {"pool_size": 3, "kernel_size": 5}, {"conv_channels": (7,), "gru_units": 3, "kernel_size": 1}],
)
def test_it_does_so_for_other_sizes(make_network: Any, changes: dict[str, Any]) -> None:
    recipe = msgspec.structs.replace(CABG, network=msgspec.structs.replace(CABG.network, **changes))
    other = make_network(recipe)
    assert parity_error(graph_of(other, recipe), other, *clips([1, 2, 3, 20, 7])) <= 1e-4


@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6), extra=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_the_residual_network_too(
    residual: EmotionNetwork, residual_graph: bytes, lengths: list[int], extra: int
) -> None:
    assert parity_error(residual_graph, residual, *voices(lengths, extra)) <= 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": (2, 1, 2, 1)},
        {"dilations": (1, 3), "strides": (3, 1), "kernel_size": 3},
        {"channels": 96},
        {"branches": 1, "level": "absolute", "contrast": False},
        {"branches": 1, "contrast": False},
    ],
)
def test_and_in_other_sizes(make_network: Any, changes: dict[str, Any]) -> None:
    recipe = msgspec.structs.replace(RESIDUAL, network=msgspec.structs.replace(RESIDUAL.network, **changes))
    other = make_network(recipe)
    assert parity_error(graph_of(other, recipe), other, *voices([1, 2, 3, 20, 7])) <= 1e-4


def test_and_without_pitch(make_network: Any) -> None:
    recipe = msgspec.structs.replace(RESIDUAL, front_end=msgspec.structs.replace(RESIDUAL.front_end, pitch=None))
    other = make_network(recipe)
    assert parity_error(graph_of(other, recipe), other, *clips([1, 2, 3, 20, 7], 0, 96)) <= 1e-4


def test_the_labels_stand_in_the_graph(graph: bytes) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == list(LABELS)
    assert [output.name for output in session.get_outputs()] == ["logits", "attention"]
    assert session.get_outputs()[0].shape == ["batch", 4]
    logits, attention = session.run(None, dict(zip(("log_mel", "lengths"), clips([1, 30]), strict=True)))
    assert logits.shape == (2, 4)
    assert attention.shape == (2, 15)
    assert attention.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(attention[0, 1:]).max() == 0
    onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)


def test_the_same_weights_give_the_same_bytes(network: EmotionNetwork, graph: bytes) -> None:
    assert checked_onnx(network, CABG, LABELS) == graph


@pytest.mark.parametrize("shift", [0.01, float("nan")])
def test_a_graph_that_says_something_else_is_refused(make_network: Any, shift: float) -> None:
    network = make_network(CABG)
    network.register_forward_hook(lambda _module, _inputs, outputs: (outputs[0] + shift, outputs[1]))
    with pytest.raises(ModelError, match="differs"):
        checked_onnx(network, CABG, LABELS)


def test_what_is_exported_says_what_it_is(made_model: Bundle) -> None:
    session = onnxruntime.InferenceSession(as_onnx(made_model), providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    config = made_model.config
    assert json.loads(said["labels"]) == list(config.labels)
    assert json.loads(said["sample_rate"]) == config.settings.front_end.sample_rate
    assert json.loads(said["temperature"]) == config.temperature
    assert (said["licence"], said["name"]) == (config.training.licence, config.name)


def test_what_is_exported_is_what_lies_in_the_model_folder(made_model: Bundle, opened: Any) -> None:
    inputs = dict(zip(("log_mel", "lengths"), clips([3, 50, 20]), strict=True))
    exported, there = (
        opened(payload)(**inputs) for payload in (as_onnx(made_model), made_model.onnx_path.read_bytes())
    )
    for ours, theirs in zip(exported, there, strict=True):
        np.testing.assert_array_equal(ours, theirs)
