"""Every kind of network: its settings can be read, its module runs, and its ONNX twin gives the same."""

import subprocess
import sys
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
import torch

from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import (
    Encoder,
    EncoderNetwork,
    Network,
    Pitch,
    Settings,
    from_toml,
    load_preset,
    presets,
)
from emocatcher.models.networks import registry
from emocatcher.models.networks.emotion_network import EmotionNetwork
from emocatcher.models.onnx_graphs import cabg, parity_error, to_onnx

KINDS = get_args(Network)
TINY = Encoder(source="random", n_layers=2, width=16, n_heads=2, hidden=24)
LENGTHS = np.array([30, 1, 17, 2, 53])
DIMENSIONS = (Dimension("arousal", 1.0, 7.0), Dimension("dominance", -1.0, 1.0))


def recipe_of(kind: type[Network], *, has_pitch: bool) -> Settings:
    """The first preset with this kind of network, with or without pitch."""
    recipe = next(found for found in map(load_preset, presets()) if isinstance(found.network, kind))
    front_end = msgspec.structs.replace(recipe.front_end, pitch=Pitch() if has_pitch else None)
    encoder = TINY if kind is EncoderNetwork else msgspec.UNSET
    return msgspec.structs.replace(recipe, front_end=front_end, encoder=encoder)


def clips(recipe: Settings) -> np.ndarray:
    """Random bands in dB, and below them octaves above 1 Hz and how periodic a frame is."""
    random, shape = np.random.default_rng(0), (len(LENGTHS), recipe.front_end.n_mels, LENGTHS.max())
    bands = random.normal(-40.0, 20.0, shape)
    tracks = random.uniform([[6.0], [0.0]], [[9.5], [1.0]], (len(LENGTHS), 2, LENGTHS.max()))
    return np.concatenate([bands, tracks], axis=1)[:, : recipe.front_end.n_channels].astype(np.float32)


def test_every_kind_of_network_has_an_entry() -> None:
    assert registry.ENTRIES.keys() == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "has_pitch"), [(kind, pitch) for kind in KINDS for pitch in (False, True)][:-1], ids=str
)
def test_settings_module_and_twin_of_a_network_agree(make_network: Any, kind: type[Network], has_pitch: bool) -> None:
    recipe = recipe_of(kind, has_pitch=has_pitch)
    assert from_toml(recipe.to_toml(), "a recipe") == recipe
    network, log_mel = make_network(recipe, 5, len(DIMENSIONS)), clips(recipe)
    assert isinstance(network, EmotionNetwork)
    with torch.inference_mode():
        answers, attention = network(torch.from_numpy(log_mel), torch.from_numpy(LENGTHS))
    assert answers.shape == (len(LENGTHS), 5 + len(DIMENSIONS))
    assert (answers[:, 5:].abs() < 1.0).any(), "no rating is within its range"
    steps = recipe.network.n_steps(LENGTHS)
    for weights, n_steps in zip(attention, steps, strict=True):
        assert float(weights[:n_steps].sum()) == pytest.approx(1.0, abs=1e-5)
        assert float(weights[n_steps:].abs().sum()) == 0.0
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    graph = to_onnx(state, recipe, ("a", "b", "c", "d", "e"), DIMENSIONS)
    assert parity_error(graph, network, log_mel, LENGTHS, DIMENSIONS) <= 1e-5


def test_an_encoder_takes_no_pitch() -> None:
    assert KINDS[-1] is EncoderNetwork
    with pytest.raises(ValueError, match="takes no pitch"):
        msgspec.structs.replace(
            load_preset("emocatcher-3"), front_end=load_preset("emocatcher-2").front_end, encoder=TINY
        )


def test_twins_need_no_pytorch_modules_no_onnx_and_the_registry_neither() -> None:
    build = f"{registry.__name__}.build(load_preset('cabg'), 2)"
    for script, absent in (
        (f"import {cabg.__name__}", {"torch"}),
        (f"import {registry.__name__}", {"torch", "onnx"}),
        (f"import {registry.__name__}; from emocatcher.foundation.settings import load_preset; {build}", {"onnx"}),
    ):
        check = f"import sys; {script}; assert not {absent} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", check], check=True)
