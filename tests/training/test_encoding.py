"""Clips are encoded once, with their augmented copies, and a network with an encoder is trained on the result."""

import msgspec
import numpy as np
import pytest

from emocatcher.foundation.settings import load_preset
from emocatcher.models import encoder_weights, model_folder
from emocatcher.models.onnx_graphs import stored_weights
from emocatcher.recognition.recognizer import load
from emocatcher.training import encoding
from emocatcher.training.dataset import load_features

from ..conftest import InProcess
from ..models.encoder_folder import write_encoder


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    source = tmp_path_factory.mktemp("encoders") / "tiny"
    write_encoder(source)
    changes = ["network.n_copies=2", "training.n_epochs=4", f'encoder.source="{source}"', "encoder.n_layers=2"]
    return encoder_weights.resolve(load_preset("emocatcher-3", changes))


@pytest.fixture(scope="module")
def some(voices):
    """A quarter of the clips."""
    return msgspec.structs.replace(voices, utterances=voices.utterances[::4])


@pytest.fixture(scope="module")
def clips(some, settings):
    return load_features(some, settings)


def encode(corpus, clips, settings, folder, on_progress=None):
    pool = InProcess(1, lambda: None, lambda _: None)
    return encoding.encode(pool, corpus, clips, settings, folder=folder, on_progress=on_progress)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, train_here, some, settings):
    return train_here(tmp_path_factory.mktemp("runs") / "encoded", some, "speakers-2", settings)


def test_clips_are_encoded_once(tmp_path, some, clips, settings):
    done = []
    first = encode(some, clips, settings, tmp_path, lambda *pair: done.append(pair))
    assert done[-1] == (3 * len(clips), 3 * len(clips))
    again = encode(some, clips, settings, tmp_path, lambda *_: pytest.fail("it is in the cache"))
    assert first.table.digest() == again.table.digest()
    other = msgspec.structs.replace(settings, augmentation=msgspec.structs.replace(settings.augmentation, tempo=0.3))
    varied = encode(some, clips, other, tmp_path)
    ids = clips.ids[:3]
    np.testing.assert_array_equal(np.array(first.originals(ids)), np.array(varied.originals(ids)))
    assert not np.array_equal(first.all_copies(ids), varied.all_copies(ids))


def test_a_network_without_an_encoder_needs_no_encoding(tmp_path, voices, features, small_settings):
    assert encode(voices, features, small_settings, tmp_path) is None


def test_the_copies_of_a_clip_differ_and_are_drawn_for_training(finished, some, clips, settings):
    encoded = encode(some, clips, settings, None)  # from the cache, into which the run wrote them
    ids = clips.ids[:40]
    one, two, three = np.split(np.array(encoded.all_copies(ids)).reshape(40, 3, -1), 3, axis=1)
    assert np.abs(one - two).max() > 0.01
    assert np.abs(two - three).max() > 0.01
    drawn = np.array(encoded.drawn(ids, np.random.default_rng(0))).reshape(40, 1, -1)
    chosen = [(drawn == copies).all(axis=(1, 2)) for copies in (one, two, three)]
    assert (sum(one.astype(int) for one in chosen) == 1).all()
    assert all(each.any() for each in chosen)


def test_a_trained_network_is_a_whole_model(finished, settings, voices):
    recognizer = load(finished.folder / "fold_0" / "last")
    prediction = recognizer.predict(voices.utterances[0].path)
    assert prediction.emotion in voices.labels
    assert sum(weight for _, weight in prediction.attention) == pytest.approx(1.0, abs=1e-5)
    config = model_folder.read(finished.folder / "fold_0" / "last").config
    assert config.settings.encoder == settings.encoder
    weights = model_folder.read(finished.folder / "fold_0" / "last").weights()
    assert not any(name.startswith("encoder.") for name in weights)  # they are in the graph, in 16 bits
    whole = stored_weights.read(model_folder.read(finished.folder / "fold_0" / "last"))
    assert {str(whole[name].dtype) for name in whole if name.startswith("encoder.")} == {"float16"}
    assert weights["output.weight"].dtype == np.float32


def test_a_run_that_is_resumed_has_the_same_weights(tmp_path, train_here, some, settings, finished):
    out = tmp_path / "again"
    train_here(out, some, "speakers-2", settings)
    for path in ("fold_0/last/model.safetensors", "fold_1/last/model.safetensors", "fold_1/last/model.onnx"):
        assert (out / path).read_bytes() == (finished.folder / path).read_bytes()
    for outcome in out.rglob("outcome.safetensors"):
        outcome.unlink()
    train_here(out, some, "speakers-2", settings, resume=True)
    assert (out / "predictions.csv").read_bytes() == (finished.folder / "predictions.csv").read_bytes()
