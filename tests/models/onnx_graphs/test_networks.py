"""Every network in the registry: its settings can be read, its module runs, and its ONNX twin gives the same."""

import subprocess
import sys
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
import torch

from emocatcher.foundation.settings import Network, Pitch, Settings, from_toml, load_preset, presets
from emocatcher.models.networks import registry
from emocatcher.models.networks.emotion_network import EmotionNetwork
from emocatcher.models.networks.registry import ENTRIES, Entry
from emocatcher.models.onnx_graphs import parity_error, to_onnx

LENGTHS = np.array([30, 1, 17, 2, 53])


def recipe_of(entry: Entry, *, has_pitch: bool) -> Settings:
    """The first preset with this kind of network, with or without pitch."""
    recipe = next(found for found in map(load_preset, presets()) if isinstance(found.network, entry.settings))
    front_end = msgspec.structs.replace(recipe.front_end, pitch=Pitch() if has_pitch else None)
    return msgspec.structs.replace(recipe, front_end=front_end)


def clips(recipe: Settings) -> np.ndarray:
    """Random bands in dB, and below them octaves above 1 Hz and how periodic a frame is."""
    random, shape = np.random.default_rng(0), (len(LENGTHS), recipe.front_end.n_mels, LENGTHS.max())
    bands = random.normal(-40.0, 20.0, shape)
    tracks = random.uniform([[6.0], [0.0]], [[9.5], [1.0]], (len(LENGTHS), 2, LENGTHS.max()))
    return np.concatenate([bands, tracks], axis=1)[:, : recipe.front_end.n_channels].astype(np.float32)


def test_every_kind_of_network_has_one_entry() -> None:
    assert sorted(entry.settings.__name__ for entry in ENTRIES) == sorted(kind.__name__ for kind in get_args(Network))


@pytest.mark.parametrize("has_pitch", [False, True])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.settings.__name__)
def test_settings_module_and_twin_of_a_network_agree(make_network: Any, entry: Entry, has_pitch: bool) -> None:
    recipe = recipe_of(entry, has_pitch=has_pitch)
    assert from_toml(recipe.to_toml(), "a recipe") == recipe
    network, log_mel = make_network(recipe, 5), clips(recipe)
    assert isinstance(network, EmotionNetwork)
    with torch.inference_mode():
        logits, attention = network(torch.from_numpy(log_mel), torch.from_numpy(LENGTHS))
    assert logits.shape == (len(LENGTHS), 5)
    steps = recipe.network.n_steps(LENGTHS)
    for weights, n_steps in zip(attention, steps, strict=True):
        assert float(weights[:n_steps].sum()) == pytest.approx(1.0, abs=1e-5)
        assert float(weights[n_steps:].abs().sum()) == 0.0
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    graph = to_onnx(state, recipe, ("a", "b", "c", "d", "e"))
    assert parity_error(graph, network, log_mel, LENGTHS) <= 1e-5


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.settings.__name__)
def test_a_twin_needs_no_pytorch_and_a_module_no_onnx(entry: Entry) -> None:
    for place, foreign in ((entry.twin, "torch"), (entry.module, "onnx")):
        script = f"import sys, pkgutil; pkgutil.resolve_name('{place}'); assert '{foreign}' not in sys.modules"
        subprocess.run([sys.executable, "-c", script], check=True)


def test_the_registry_itself_imports_neither() -> None:
    script = f"import sys, {registry.__name__}; assert not {{'torch', 'onnx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
