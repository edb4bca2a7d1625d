"""Published checkpoints convert to the same network, and no code in them is ever run."""

import contextlib
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from emocatcher import corpora
from emocatcher.evaluation import protocols
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import load_preset
from emocatcher.models.networks.emotion_network import EmotionNetwork
from emocatcher.models.networks.registry import build
from emocatcher.models.published_checkpoint import convert
from emocatcher.recognition.recognizer import load
from emocatcher.training import fold_evaluation
from emocatcher.training.dataset import load_features

State = dict[str, torch.Tensor]
NO_CHECKPOINT = "is not a checkpoint|cannot be read as a checkpoint"


def published_names() -> dict[str, str]:
    """Map parameter names here to the published ones."""
    names = {"norm.weight": "gru_layernorm.weight", "norm.bias": "gru_layernorm.bias"}
    for part in ("weight", "bias"):
        for number in range(3):
            names[f"blocks.{number}.conv.{part}"] = f"conv_block{number + 1}.conv_block.0.{part}"
            names[f"blocks.{number}.norm.{part}"] = f"conv_block{number + 1}.conv_block.1.layer_norm.{part}"
        for ours, theirs in (("query", "linear_q"), ("key", "linear_k"), ("score", "linear_z")):
            names[f"attention.{ours}.{part}"] = f"attention.{theirs}.{part}"
        for ours, theirs in (("hidden", "linear1.0"), ("hidden_norm", "linear1.1"), ("output", "linear2")):
            names[f"{ours}.{part}"] = f"{theirs}.{part}"
        for direction in ("", "_reverse"):
            for inner in ("ih", "hh"):
                names[f"gru.{part}_{inner}_l0{direction}"] = f"gru.{part}_{inner}_l0{direction}"
    for buffer in ("running_mean", "running_var", "num_batches_tracked"):
        names[f"hidden_norm.{buffer}"] = f"linear1.1.{buffer}"
    return names


@pytest.fixture(scope="module")
def network() -> EmotionNetwork:
    torch.manual_seed(4)
    return build(load_preset("cabg"), 8).eval()


@pytest.fixture
def state(network: EmotionNetwork) -> State:
    return {published_names()[name]: tensor.clone() for name, tensor in network.state_dict().items()}


def test_a_converted_checkpoint_gives_the_same_logits(network: EmotionNetwork, state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "best_model_0.9.pth")
    made = convert(tmp_path / "best_model_0.9.pth", tmp_path / "model")
    weights = made.weights()
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())
    config = made.config
    assert config.n_parameters == 166_729
    assert config.training.selection == "not known"  # the file name proves nothing
    assert config.training.speakers_shared is True
    assert "CC BY-NC-SA 4.0" in config.training.licence
    assert "MIT" in config.training.licence
    log_mel = np.random.default_rng(0).normal(-40, 20, (64, 30)).astype(np.float32)
    logits, *_ = load(tmp_path / "model").run([log_mel])
    with torch.inference_mode():
        expected, _ = network(torch.from_numpy(log_mel)[None], torch.tensor([30]))
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)


class Payload:
    """An object that runs a command when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.target}'",)


@pytest.mark.parametrize("how", ["zip", "legacy", "plain pickle", "among tensors"])
def test_pickled_code_is_refused_and_not_run(state: State, tmp_path: Path, how: str) -> None:
    payload, target = Payload(tmp_path / "owned"), tmp_path / "evil.pth"
    if how == "plain pickle":
        target.write_bytes(pickle.dumps(payload))
    else:
        held: Any = {**state, "linear2.bias": payload} if how == "among tensors" else payload
        torch.save(held, target, _use_new_zipfile_serialization=how != "legacy")
    with pytest.raises(ModelError, match="contains more than tensors"):
        convert(target, tmp_path / "model")
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "model").exists()
    os.system(f"touch '{tmp_path / 'owned'}'")  # the payload would have worked
    assert (tmp_path / "owned").exists()


def refusal(source: Path, tmp_path: Path) -> str:
    """Convert a file that cannot be converted; return the message without the file's path."""
    with pytest.raises(ModelError) as caught:
        convert(source, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    message = str(caught.value)
    assert str(source) in message
    assert len(message.splitlines()) == 1
    return message.replace(str(source), "")


@pytest.mark.parametrize("size", [0, 1, 10, 1000, -1, -100, -50_000])
def test_a_truncated_file_is_refused(state: State, tmp_path: Path, size: int) -> None:
    torch.save(state, tmp_path / "whole.pth")
    payload = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "truncated.pth").write_bytes(payload[:size])
    assert re.search(NO_CHECKPOINT, refusal(tmp_path / "truncated.pth", tmp_path))


@pytest.mark.parametrize("seed", range(8))
def test_a_legacy_file_with_wrong_bytes_is_refused_or_converted(state: State, tmp_path: Path, seed: int) -> None:
    """Any other exception fails the test."""
    torch.save(state, tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    payload = bytearray((tmp_path / "whole.pth").read_bytes())
    random = np.random.default_rng(seed)
    for _ in range(3):
        payload[random.integers(0, 4000)] ^= 1 << int(random.integers(0, 8))
    (tmp_path / "odd.pth").write_bytes(payload[: None if seed % 2 else 30_000])
    with contextlib.suppress(ModelError):
        convert(tmp_path / "odd.pth", tmp_path / "model")
    assert (tmp_path / "model").exists() == (tmp_path / "model" / "config.json").is_file()  # complete, or never started


@pytest.mark.parametrize(
    "payload", [b"hello, I am text\n", b"\x00" * 500, b"\x89PNG\r\n\x1a\n" + b"\x00" * 99, b"RIFF"]
)
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, payload: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(payload)
    assert re.search(NO_CHECKPOINT, refusal(tmp_path / "x.pth", tmp_path))


def test_a_zip_without_tensors_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("readme.txt", "no tensors here")
    assert re.search(NO_CHECKPOINT, refusal(tmp_path / "x.pth", tmp_path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No checkpoint at" in refusal(tmp_path / "nothing.pth", tmp_path)
    (tmp_path / "folder.pth").mkdir()
    assert "No checkpoint at" in refusal(tmp_path / "folder.pth", tmp_path)


@pytest.mark.parametrize(
    "value", [torch.zeros(3), [torch.zeros(3)], {"a": 1}, {1: torch.zeros(3)}, {"model": {"a": torch.zeros(2)}}, None]
)
def test_other_objects_than_a_state_dictionary_are_refused(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "x.pth")
    assert "dictionary of tensors" in refusal(tmp_path / "x.pth", tmp_path)


def test_a_missing_an_extra_and_a_misshapen_tensor_are_named(state: State, tmp_path: Path) -> None:
    source = tmp_path / "x.pth"
    torch.save({name: tensor for name, tensor in state.items() if name != "linear2.bias"}, source)
    assert "lacks output.bias" in refusal(source, tmp_path)
    torch.save({**state, "linear3.bias": torch.zeros(3)}, source)
    assert "has linear3.bias (3,)" in refusal(source, tmp_path)
    torch.save({**state, "linear2.bias": torch.zeros(7)}, source)
    message = refusal(source, tmp_path)
    assert "output.bias (7,)" in message
    assert "(8,) is expected" in message
    torch.save({}, source)
    assert "lacks attention.key.bias" in refusal(source, tmp_path)
    torch.save({**state, "linear2.bias": torch.full((8,), float("nan"))}, source)
    assert "NaN or infinity in output.bias" in refusal(source, tmp_path)


def test_a_folder_with_a_model_is_not_overwritten(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "x.pth")
    convert(tmp_path / "x.pth", tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    with pytest.raises(ModelError, match="already contains a model"):
        convert(tmp_path / "x.pth", tmp_path / "model")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="cannot be written"):
        convert(tmp_path / "x.pth", tmp_path / "file")


@pytest.mark.corpus
@pytest.mark.parametrize(("pattern", "n_right"), [("best_model*.pth", 245), ("last_epoch*.pth", 240)])
def test_the_published_checkpoints_reach_their_published_scores(
    ravdess_dir: Path, tmp_path: Path, pattern: str, n_right: int
) -> None:
    found = list((ravdess_dir.parents[1] / "reference").glob(pattern))
    if not found:
        pytest.skip(f"needs the published checkpoint {pattern} in {ravdess_dir.parents[1] / 'reference'}")
    made = convert(found[0], tmp_path / "model")
    assert made.config.training.selection == {245: "best-test", 240: "last"}[n_right]
    recognizer, corpus = load(tmp_path / "model"), corpora.load("ravdess")
    protocol = protocols.load("reference-holdout", corpus)
    scores = fold_evaluation.evaluate(recognizer, corpus, protocol, 0)
    assert scores.n_utterances == 288
    assert abs(scores.n_correct - n_right) <= 1
    assert scores.speakers_shared
    assert scores.accuracy == scores.n_correct / 288

    tested = msgspec.structs.replace(corpus, utterances=corpus.select(protocol.folds[0].test))
    features = load_features(tested, recognizer.config.settings)
    channels = features.clips(protocol.folds[0].test)
    alone, *_ = recognizer.run(channels, 1)
    for batch_size in (7, 64, 288):
        logits, *_ = recognizer.run(channels, batch_size)
        np.testing.assert_allclose(logits, alone, atol=1e-4)
        assert fold_evaluation.evaluate(recognizer, corpus, protocol, 0, batch_size=batch_size) == scores
