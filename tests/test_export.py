"""The ONNX graph says what the network says."""

import json
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.config import Settings, load_preset
from emocatcher.errors import ModelError
from emocatcher.export import checked_onnx, parity_error, to_onnx
from emocatcher.model import EmotionNetwork

CABG = load_preset("cabg")
LABELS = ("glad", "traurig", "wütend", "bored, or so")


def network_of(recipe: Settings, n_classes: int = len(LABELS)) -> EmotionNetwork:
    torch.manual_seed(2)
    network = EmotionNetwork(recipe.network, recipe.front_end.n_mels, n_classes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        network.hidden_norm.running_mean.normal_()
        network.hidden_norm.running_var.uniform_(0.5, 2.0)
    return network.eval()


def graph_of(network: EmotionNetwork, recipe: Settings) -> bytes:
    return to_onnx({name: tensor.numpy() for name, tensor in network.state_dict().items()}, recipe, LABELS)


@pytest.fixture(scope="module")
def network() -> EmotionNetwork:
    return network_of(CABG)


@pytest.fixture(scope="module")
def graph(network: EmotionNetwork) -> bytes:
    return graph_of(network, CABG)


def clips(lengths: list[int], extra: int = 0, n_mels: int = 64) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(lengths), n_mels, max(lengths) + extra)
    log_mel = np.random.default_rng(sum(lengths)).normal(-40.0, 20.0, shape)
    return log_mel.astype(np.float32), np.array(lengths, np.int64)


@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6), extra=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_it_says_what_pytorch_says(network: EmotionNetwork, graph: bytes, lengths: list[int], extra: int) -> None:
    assert parity_error(graph, network, *clips(lengths, extra)) <= 1e-4


@pytest.mark.parametrize(
    "changes",
    [{"pool_size": 1}, {"pool_size": 3, "kernel_size": 5}, {"conv_channels": (7,), "gru_units": 3, "kernel_size": 1}],
)
def test_it_does_so_for_other_sizes(changes: dict[str, Any]) -> None:
    recipe = msgspec.structs.replace(CABG, network=msgspec.structs.replace(CABG.network, **changes))
    other = network_of(recipe)
    assert parity_error(graph_of(other, recipe), other, *clips([1, 2, 3, 20, 7])) <= 1e-4


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
def test_a_graph_that_says_something_else_is_refused(shift: float) -> None:
    network = network_of(CABG)
    network.register_forward_hook(lambda _module, _inputs, outputs: (outputs[0] + shift, outputs[1]))
    with pytest.raises(ModelError, match="differs"):
        checked_onnx(network, CABG, LABELS)
