"""A model's network answers with finite numbers of the right shape, or there is a typed error."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import emocatcher
from emocatcher.foundation.errors import ModelError
from emocatcher.models import model_folder

CHANNELS = np.random.default_rng(0).normal(-30, 10, (64, 20)).astype(np.float32)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A function that changes the bundled `cabg`'s graph, with the hash to match, and returns the model folder."""

    def change(edit: Callable[[Any], None]) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(Path(str(model_folder.bundled("cabg"))), folder)
        graph = onnx.load(folder / "model.onnx")
        edit(graph)
        payload = graph.SerializeToString()
        (folder / "model.onnx").write_bytes(payload)
        config = msgspec.json.decode((folder / "config.json").read_bytes())
        config["sha256"]["model.onnx"] = hashlib.sha256(payload).hexdigest()
        (folder / "config.json").write_bytes(msgspec.json.encode(config))
        return folder

    return change


def test_nan_from_a_network_is_an_error(changed: Callable[..., Path]) -> None:
    def edit(graph: Any) -> None:
        bias = next(one for one in graph.graph.initializer if one.name == "output.bias")
        bias.CopyFrom(numpy_helper.from_array(np.full(8, np.nan, np.float32), bias.name))

    recognizer = emocatcher.load(changed(edit))
    with pytest.raises(ModelError, match="NaN or infinity"):
        recognizer.run([CHANNELS])


def test_a_network_with_other_inputs_is_an_error(changed: Callable[..., Path]) -> None:
    def edit(graph: Any) -> None:
        graph.graph.input[0].name = "sound"
        for node in graph.graph.node:
            node.input[:] = ["sound" if name == "log_mel" else name for name in node.input]

    with pytest.raises(ModelError, match="has the inputs"):
        emocatcher.load(changed(edit))


def test_a_network_of_another_size_is_an_error(changed: Callable[..., Path]) -> None:
    def edit(graph: Any) -> None:
        for one in graph.graph.initializer:
            if one.name == "output.bias":
                one.CopyFrom(numpy_helper.from_array(np.zeros(7, np.float32), one.name))

    with pytest.raises(ModelError):
        emocatcher.load(changed(edit)).run([CHANNELS])


def test_a_refused_graph_is_an_error_when_the_model_is_loaded(changed: Callable[..., Path]) -> None:
    def edit(graph: Any) -> None:
        graph.graph.node[0].domain = "com.example"

    with pytest.raises(ModelError, match="is not run"):
        emocatcher.load(changed(edit))


def test_weights_of_another_network_cannot_be_exported(tmp_path: Path) -> None:
    from emocatcher.models.onnx_graphs import as_onnx
    from emocatcher.recognition.parity.answers import waveform_graph

    opened = model_folder.read(Path(str(model_folder.bundled("cabg"))))
    weights = opened.weights()
    (tmp_path / "names").mkdir()
    renamed = model_folder.write(tmp_path / "names", opened.config, {f"x.{k}": v for k, v in weights.items()}, b"")
    with pytest.raises(ModelError, match="do not fit the network"):
        as_onnx(renamed)
    (tmp_path / "shapes").mkdir()
    flat = model_folder.write(tmp_path / "shapes", opened.config, {k: v.ravel() for k, v in weights.items()}, b"")
    with pytest.raises(ModelError, match="do not fit the network"):
        waveform_graph(as_onnx(flat, waveform=True))
