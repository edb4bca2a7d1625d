"""Training on another device: what is chosen, what is refused, and that no tensor stays behind."""

import functools

import msgspec
import numpy as np
import pytest
import torch

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import encoder_weights
from emocatcher.training import device, encoding
from emocatcher.training.dataset import Part, load_features
from emocatcher.training.fold_trainer import FoldTrainer

from ..conftest import InProcess
from ..models.encoder_folder import write_encoder
from .simulated_device import NAME, SimulatedDevice


def few(part: Part) -> Part:
    return Part(part.ids[:12], part.true[:12])


def shorten(settings):
    training = msgspec.structs.replace(settings.training, n_epochs=2, batch_size=6)
    return msgspec.structs.replace(settings, training=training)


def test_auto_takes_the_first_device_that_is_available(monkeypatch):
    there = {"cuda": False, "mps": False, "cpu": True}
    monkeypatch.setattr(device, "_available", lambda: [name for name, is_there in there.items() if is_there])
    assert device.resolve("auto") == "cpu"
    there["mps"] = True
    assert device.resolve("auto") == device.resolve("mps") == "mps"
    there["cuda"] = True
    assert device.resolve("auto") == "cuda"
    assert device.resolve("cpu") == "cpu"


@pytest.mark.parametrize("name", ["cuda", "tpu", ""])
def test_a_device_that_is_missing_is_refused_with_what_there_is(monkeypatch, name):
    monkeypatch.setattr(device, "_available", lambda: ["cpu"])
    with pytest.raises(SettingError, match="PyTorch finds cpu") as caught:
        device.resolve(name)
    assert ("driver" in str(caught.value)) == (name == "cuda")


def test_the_simulated_device_refuses_a_tensor_that_stayed_behind():
    with SimulatedDevice():
        there = torch.ones(3).to(NAME)
        assert (there + 1.0).device.type == NAME
        assert (there * 2.0).cpu().tolist() == [2.0, 2.0, 2.0]
        with pytest.raises(AssertionError, match="mixes"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()


@pytest.fixture(params=["cabg", "emocatcher-2", "emocatcher-3"])
def recipe(request, tmp_path, small_settings, residual_settings):
    if request.param == "emocatcher-3":
        write_encoder(tmp_path / "tiny")
        changes = ["network.n_copies=1", f'encoder.source="{tmp_path / "tiny"}"', "encoder.n_layers=2"]
        return shorten(encoder_weights.resolve(load_preset("emocatcher-3", changes)))
    return shorten({"cabg": small_settings, "emocatcher-2": residual_settings}[request.param])


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # it does copy
def test_every_network_trains_resumes_and_answers_on_another_device(tmp_path, monkeypatch, voices, parts, recipe):
    parts = {name: few(part) for name, part in parts.items()}
    ids = {*parts["train"].ids, *parts["test"].ids}
    corpus = msgspec.structs.replace(voices, utterances=tuple(one for one in voices if one.id in ids))
    features = load_features(corpus, recipe)
    encoded = encoding.encode(InProcess(1, lambda: None, lambda _: None), corpus, features, recipe, folder=tmp_path)

    def trainer(name, where):
        return FoldTrainer(
            recipe, voices.labels, features, parts, fold=0, seed=0, resume_dir=tmp_path / name, encoded=encoded,
            device=where,
        )  # fmt: skip

    here = trainer("cpu", "cpu")
    here.run()
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # it allows no tensors of a subclass
    with SimulatedDevice():
        there = trainer("there", NAME)
        assert {tensor.device.type for tensor in there.network.state_dict().values()} == {NAME}
        there.run()
        logits, attention = there.evaluate(parts["test"])
        written = there.network.on_cpu().stored_weights()
        again = trainer("there", NAME)
        assert again.restore()
        for one in (there, again):
            one._run_epoch()
        np.testing.assert_array_equal(again.evaluate(parts["test"])[0], there.evaluate(parts["test"])[0])
    expected, weights = here.evaluate(parts["test"])
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)  # PyTorch chooses other algorithms
    close(logits, expected)
    for one, other in zip(attention, weights, strict=True):
        close(one, other)
    for name, weight in here.network.stored_weights().items():
        close(written[name], weight)


def test_clips_are_encoded_on_the_device_with_a_cache_of_their_own(tmp_path, monkeypatch, voices):
    write_encoder(tmp_path / "tiny")
    changes = ["network.n_copies=1", f'encoder.source="{tmp_path / "tiny"}"', "encoder.n_layers=2"]
    settings = encoder_weights.resolve(load_preset("emocatcher-3", changes))
    corpus = msgspec.structs.replace(voices, utterances=voices.utterances[:4])
    clips, pool = load_features(corpus, settings), InProcess(1, lambda: None, lambda _: None)
    here = encoding.encode(pool, corpus, clips, settings, folder=tmp_path / "cache")
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # it allows no tensors of a subclass
    with SimulatedDevice():
        there = encoding.encode(pool, corpus, clips, settings, device=NAME, folder=tmp_path / "cache")
    encoding._encoder.cache_clear()
    for id_ in here.table.ids:
        np.testing.assert_allclose(here.table.clip(id_), there.table.clip(id_), rtol=1e-4, atol=1e-5)
    assert len(list((tmp_path / "cache").iterdir())) == 2
