"""All weights of a model folder whose encoder is in its graph alone, in 8 bits."""

import shutil

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import Encoder, load_preset
from emocatcher.models import model_folder
from emocatcher.models.onnx_graphs import as_onnx, stored_weights, to_onnx

SETTINGS = msgspec.structs.replace(
    load_preset("emocatcher-3"), encoder=Encoder(source="random", n_layers=2, width=32, n_heads=4, hidden=48)
)


@pytest.fixture(scope="module")
def whole(make_model):
    return make_model(SETTINGS)


@pytest.fixture(scope="module")
def small(whole, tmp_path_factory):
    """The same model without the encoder in its weights."""
    weights, config = whole.weights(), whole.config
    trained = {name: value for name, value in weights.items() if not name.startswith("encoder.")}
    graph = to_onnx(weights, config.settings, config.labels, int8=True)
    return model_folder.write(tmp_path_factory.mktemp("small"), config, trained, graph)


def test_the_weights_are_those_of_the_network_to_half_a_step(whole, small):
    expected, found = whole.weights(), stored_weights.read(small)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        axes = tuple(range(1, value.ndim))
        step = np.abs(value).max(axis=axes, keepdims=True) / 64 if name.startswith("encoder.") and axes else 0.0
        assert (np.abs(found[name] - value) <= 0.5001 * step + 1e-7).all(), name


def test_a_graph_in_32_bits_has_the_weights_themselves(whole, tmp_path):
    weights, config = whole.weights(), whole.config
    trained = {name: value for name, value in weights.items() if not name.startswith("encoder.")}
    folder = model_folder.write(tmp_path, config, trained, whole.onnx_path.read_bytes())
    found = stored_weights.read(folder)
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_folder_with_all_weights_keeps_them(whole):
    for name, value in whole.weights().items():
        np.testing.assert_array_equal(stored_weights.read(whole)[name], value)


def test_an_export_in_8_bits_is_the_same_graph(small):
    again = to_onnx(stored_weights.read(small), SETTINGS, small.config.labels, int8=True)
    found, expected = (
        {one.name: numpy_helper.to_array(one) for one in onnx.load_model_from_string(graph).graph.initializer}
        for graph in (again, small.onnx_path.read_bytes())
    )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    assert as_onnx(small, waveform=True)


def test_a_damaged_graph_is_named(small, tmp_path):
    folder = shutil.copytree(small.path, tmp_path / "damaged")
    (folder / "model.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match=r"model\.onnx is not run"):
        stored_weights.read(model_folder.Bundle(folder, small.config))


def test_a_graph_without_a_scale_is_named(small, tmp_path):
    folder = shutil.copytree(small.path, tmp_path / "altered")
    graph = onnx.load_model_from_string(small.onnx_path.read_bytes())
    (scale,) = [one for one in graph.graph.initializer if one.name.endswith("layers.0.fc1.scale")][:1]
    scale.name = "other"
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=r"model\.onnx cannot be read"):
        stored_weights.read(model_folder.Bundle(folder, small.config))
