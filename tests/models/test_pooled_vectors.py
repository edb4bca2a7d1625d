"""The pooled vector of each kind of network is the one that its PyTorch twin has before its last layers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.features.padding import pad_batch
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_session import OnnxSession
from emocatcher.models.pooled_vectors import PooledVectors

CABG = ("network.conv_channels=[8, 8]", "network.gru_units=8", "network.classifier_units=8")


def clips_of(settings: Settings) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(-40.0, 15.0, (settings.front_end.n_channels, n)).astype(np.float32) for n in (40, 7, 63, 1)]


def pooled_of(model: Bundle) -> PooledVectors:
    return PooledVectors(model, OnnxSession(model))


@pytest.mark.parametrize("kind", ["cabg", "residual"])
@pytest.mark.parametrize("int8", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["float", "int8"])
def test_the_vector_is_what_goes_into_the_last_layers(
    make_network: Callable[..., Any], residual_settings: Settings, tmp_path: Path, made_model: Bundle, kind: str,
    int8: bool,
) -> None:  # fmt: skip
    import torch

    from emocatcher.models.onnx_graphs import to_onnx

    settings = load_preset("cabg", CABG) if kind == "cabg" else residual_settings
    network = make_network(settings).eval()
    graph = to_onnx(network.stored_weights(), settings, made_model.config.labels, int8=int8)
    config = msgspec.structs.replace(made_model.config, settings=settings, sha256={})
    pooled = pooled_of(model_folder.write(tmp_path, config, network.stored_weights(), graph))
    seen: dict[str, np.ndarray] = {}
    for name, module in network.named_modules():
        if name.split(".")[-1] == "hidden" and "attention" not in name:
            module.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0].numpy()}))
    for clip in clips_of(settings):
        with torch.inference_mode():
            network(torch.from_numpy(clip[None]), torch.tensor([clip.shape[1]]))
        expected = np.concatenate([seen[name][0] for name in sorted(seen)])
        found = pooled.of(clip)
        assert found.shape == expected.shape == (pooled.n_values,)
        assert found.dtype == np.float32
        assert found == pytest.approx(expected, abs=0.05 if int8 else 1e-4)


def test_the_answers_of_the_default_model_are_its_linear_layer_on_the_vector(bundled: Bundle) -> None:
    session = OnnxSession(bundled)
    pooled, weights = PooledVectors(bundled, session), bundled.weights()
    for clip in clips_of(bundled.config.settings)[:2]:
        batch, lengths = pad_batch([clip])
        answers = session.run(batch, lengths, bundled.config.settings.network.n_steps(lengths))
        logits = weights["output.weight"] @ pooled.of(clip) + weights["output.bias"]
        assert logits == pytest.approx(answers.logits[0], abs=1e-3)


def test_a_vector_is_the_same_each_time_and_changes_no_answer(bundled: Bundle) -> None:
    session = OnnxSession(bundled)
    clip = clips_of(bundled.config.settings)[0]
    batch, lengths = pad_batch([clip])
    n_steps = bundled.config.settings.network.n_steps(lengths)
    before = session.run(batch, lengths, n_steps)
    first, second = (PooledVectors(bundled, session).of(clip) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(session.run(batch, lengths, n_steps).logits, before.logits)


@pytest.mark.slow
def test_a_network_without_such_a_layer_is_refused(tmp_path: Path, made_model: Bundle) -> None:
    import onnx

    graph = onnx.load_from_string(made_model.onnx_path.read_bytes())
    for node in graph.graph.node:
        node.input[:] = [name.replace("hidden.weight", "other.weight") for name in node.input]
    for constant in graph.graph.initializer:
        constant.name = constant.name.replace("hidden.weight", "other.weight")
    config = msgspec.structs.replace(made_model.config, sha256={})
    model = model_folder.write(tmp_path, config, made_model.weights(), graph.SerializeToString())
    with pytest.raises(ModelError, match="has no vector before its last layers"):
        pooled_of(model)
