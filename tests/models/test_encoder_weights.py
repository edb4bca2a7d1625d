"""A pretrained encoder is found in a folder or on the hub, and its sizes and weights are read."""

import msgspec
import numpy as np
import pytest

from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import encoder_weights
from emocatcher.models.networks import whisper

from .encoder_folder import write_encoder


def recipe(source, **changes):
    preset = load_preset("emocatcher-3")
    return msgspec.structs.replace(
        preset, encoder=msgspec.structs.replace(preset.encoder, source=str(source), **changes)
    )


@pytest.mark.parametrize("prefix", ["model.encoder.", "encoder.", ""])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_first_layers_are_read_from_a_folder(tmp_path, prefix, dtype):
    weights = write_encoder(tmp_path / "tiny", prefix, dtype)
    settings = encoder_weights.resolve(recipe(tmp_path / "tiny", n_layers=2))
    assert (settings.encoder.width, settings.encoder.n_heads, settings.encoder.hidden) == (32, 4, 48)
    found = encoder_weights.read(settings.encoder)
    whisper.load(whisper.WhisperEncoder(settings.encoder, 80), found)
    assert all(one.dtype == np.float32 for one in found.values())
    for name, value in found.items():
        np.testing.assert_array_equal(value, weights[name].astype(dtype))


def test_a_name_is_searched_in_the_folder_of_encoders(tmp_path, monkeypatch):
    write_encoder(tmp_path / "whisper-x")
    monkeypatch.setenv("EMOCATCHER_ENCODERS", str(tmp_path))
    assert encoder_weights.locate(recipe("openai/whisper-x").encoder) == tmp_path / "whisper-x"


def test_without_the_weights_one_line_names_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOCATCHER_ENCODERS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(ModelError, match=r"'openai/whisper-tiny\.en' cannot be downloaded"):
        encoder_weights.resolve(recipe("openai/whisper-tiny.en"))
    with pytest.raises(ModelError, match=r"There is no encoder in '.*nowhere': config.json and"):
        encoder_weights.resolve(recipe(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "kind", "problem"),
    [
        ({"model_type": "bert"}, ModelError, "describes a 'bert'"),
        ({"activation_function": "relu"}, ModelError, "with 'relu'"),
        ({"encoder_layers": 2}, SettingError, r"n_layers is 3, but .* has 2"),
        ({"num_mel_bins": 128}, SettingError, "Set front_end.n_mels=128"),
        ({"d_model": 10**9}, ModelError, "sizes that are not allowed"),
        ({"d_model": "wide"}, ModelError, "does not describe a Whisper encoder"),
        ({"encoder_attention_heads": 5}, ModelError, "not an even multiple of n_heads"),
    ],
)
def test_other_encoders_are_refused(tmp_path, changes, kind, problem):
    write_encoder(tmp_path / "other", **changes)
    with pytest.raises(kind, match=problem):
        encoder_weights.resolve(recipe(tmp_path / "other"))


def test_damaged_weights_are_refused(tmp_path):
    write_encoder(tmp_path / "tiny")
    settings = encoder_weights.resolve(recipe(tmp_path / "tiny"))
    path = tmp_path / "tiny" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read"):
        encoder_weights.read(settings.encoder)


def test_a_recipe_without_an_encoder_is_unchanged():
    settings = load_preset("cabg")
    assert encoder_weights.resolve(settings) is settings
    assert "encoder" not in msgspec.to_builtins(settings)
