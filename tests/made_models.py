"""Fixtures for model folders with random weights, and for ONNX graphs opened as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle, ModelConfig, Training
from emocatcher.models.onnx_graphs import checked_onnx

Run = Callable[..., list[Any]]
LABELS = ("glad", "traurig", "wütend", "bored, or so")


@pytest.fixture(scope="session")
def opened() -> Callable[[bytes], Run]:
    """Return a function: serialised graph → a function of its inputs by name."""

    def opened(payload: bytes) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])

        def run(**inputs: Any) -> list[Any]:
            return list(session.run(None, inputs))

        return run

    return opened


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Any]:
    """Return a function: (settings, n_classes, n_dimensions) → a network, with no weight at its initial value."""
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from emocatcher.models.networks import registry

    def make(settings: Settings, n_classes: int = len(LABELS), n_dimensions: int = 0) -> Any:
        torch.manual_seed(2)
        network = registry.build(settings, n_classes, n_dimensions)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm1d):
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2.0)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory, make_network: Callable[..., Any]) -> Callable[..., Bundle]:
    """Return a function: (settings, dimensions, changes of its `Training`) → the opened model folder."""

    def make(settings: Settings, dimensions: tuple[Dimension, ...] = (), **training: Any) -> Bundle:
        network = make_network(settings, n_dimensions=len(dimensions))
        defaults: dict[str, Any] = {
            "corpus": "my voices", "licence": "CC BY 4.0 (someone)", "protocol": "speakers-5", "fold": 3,
            "speakers_shared": False, "selection": "last", "epoch": 7, "seed": 5,
        }  # fmt: skip
        config = ModelConfig(
            name="made-up", version="1.2.3", labels=LABELS, settings=settings, n_parameters=1, temperature=1.7,
            dimensions=dimensions, training=Training(**(defaults | training)),
        )  # fmt: skip
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        folder = tmp_path_factory.mktemp("made") / "model"
        return model_folder.write(folder, config, weights, checked_onnx(network, settings, LABELS, dimensions))

    return make


@pytest.fixture(scope="session")
def made_model(make_model: Callable[..., Bundle]) -> Bundle:
    return make_model(load_preset("cabg"))


@pytest.fixture(scope="session")
def bundled() -> Bundle:
    """Return the default model of the package."""
    folder = model_folder.bundled()
    if folder is None:
        pytest.skip("this checkout has no model")
    return model_folder.read(Path(folder))


@pytest.fixture(scope="session")
def made_clips() -> list[np.ndarray]:
    """Return the clips that `emocatcher export` uses without recordings."""
    from emocatcher.recognition.parity.clips import Clips

    return list(Clips(what="synthetic").waveforms(22_050))
