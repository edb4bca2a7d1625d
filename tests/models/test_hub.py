"""Download models by name, with the real huggingface_hub, from a loopback server that implements the hub's API."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emocatcher.foundation.errors import MissingExtraError, ModelError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import hub, model_folder

from .stand_in_hub import COMMIT, NAME, OLD_COMMIT, Hub

pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")
from huggingface_hub import constants

NEVER_FETCHED = ("pytorch_model.bin", "model.pkl", "setup.py", "onnx/model.onnx", "nested/model.safetensors")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    training = model_folder.Training(
        corpus="synthetic", licence="MIT", protocol="all", fold=None, speakers_shared=None, selection="last", epoch=1,
        seed=0, synthetic=True,
    )  # fmt: skip
    config = model_folder.ModelConfig(
        name="small", version="0", labels=("sad", "glad"), settings=load_preset("cabg"), training=training,
        n_parameters=3,
    )  # fmt: skip
    model_folder.write(folder, config, {"output.bias": np.arange(3.0)}, b"a graph")
    return folder


@pytest.fixture
def server(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    files |= dict.fromkeys(NEVER_FETCHED, pickle.dumps(["never"]))
    # An older version under a tag: the same model with another card.
    old = files | {model_folder.CARD: b"# the first"}
    with Hub() as server:
        server.repositories[NAME] = {"main": files, COMMIT: files, "v1": old, OLD_COMMIT: old}
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        # The library reads the environment when it is imported, which may already have happened.
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server
        server.shutdown()


def test_exactly_the_files_of_a_model_folder_are_downloaded(server: Hub, model: Path) -> None:
    folder = hub.fetch(NAME)
    assert model_folder.read(folder).config == model_folder.read(model).config
    assert sorted(server.sent) == sorted(path.name for path in model.iterdir())
    assert sorted(path.name for path in folder.rglob("*")) == sorted(path.name for path in model.iterdir())


def test_a_second_fetch_downloads_nothing(server: Hub) -> None:
    folder = hub.fetch(NAME)
    server.sent.clear()
    assert hub.fetch(NAME) == folder
    assert server.sent == []


def test_the_cache_is_used_without_network(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub.fetch(NAME)
    server.broken = True
    assert hub.fetch(NAME) == folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.fetch(NAME) == folder


@pytest.mark.parametrize("arguments", [{"name": f"{NAME}@v1"}, {"name": NAME, "revision": "v1"}])
def test_a_revision_selects_another_version(server: Hub, arguments: dict[str, str]) -> None:
    assert (hub.fetch(**arguments) / model_folder.CARD).read_bytes() == b"# the first"
    assert (hub.fetch(NAME) / model_folder.CARD).read_bytes() != b"# the first"


def refusal(name: str, **arguments: str) -> str:
    with pytest.raises(ModelError) as raised:
        hub.fetch(name, **arguments)
    message = str(raised.value)
    assert "\n" not in message
    assert name.partition("@")[0] in message
    return message


def test_errors_name_what_is_missing_and_the_next_step(server: Hub) -> None:
    assert "no public model of that name" in refusal("owner/cagb")
    assert "has no revision 'v2'" in refusal(f"{NAME}@v2")
    assert "Write owner/name" in refusal("cabg")
    server.gated.add(NAME)
    assert "Accept its terms" in refusal(NAME)


def test_the_error_without_network_names_the_settings_to_check(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.broken = True
    assert "Check the connection" in refusal(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal(NAME)


@pytest.mark.parametrize("content", [None, b'{"architectures": ["BertModel"]}', b"\xff", b"[]"])
def test_another_kind_of_model_is_refused_before_its_weights_are_downloaded(server: Hub, content: bytes | None) -> None:
    files = {"model.safetensors": b"gigabytes", "README.md": b"# BERT"}
    if content is not None:
        files[model_folder.CONFIG] = content
    server.repositories["owner/bert"] = {"main": files, COMMIT: files}
    assert "is not an emocatcher model" in refusal("owner/bert")
    assert set(server.sent) <= {model_folder.CONFIG}


def test_a_model_without_its_onnx_file_is_refused(server: Hub) -> None:
    files = server.repositories[NAME][COMMIT]
    files.pop(model_folder.ONNX)
    assert "lacks model.onnx" in refusal(NAME)


def test_an_altered_file_is_refused(server: Hub) -> None:
    server.repositories[NAME][COMMIT][model_folder.ONNX] = b"another graph"
    with pytest.raises(ModelError, match="not the file that"):
        model_folder.read(hub.fetch(NAME))


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"owner/cabg.*needs the extra 'hub'"):
        hub.fetch(NAME)


@pytest.mark.parametrize(
    "text", ["o/n", "owner/name", "Owner-1/na.me_2", "owner/name@main", "owner/name@v1.0", "owner/name@refs/pr/1"]
)
def test_names_on_the_hub_are_recognised(text: str) -> None:
    assert hub.looks_like_name(text)


@pytest.mark.parametrize(
    "text",
    ["", "name", "/name", "owner/", "a/b/c", "./name", "../name", "a/..", "a/b..c", "a/b--c", "owner/name@", "a b/c",
     "a/b\n", "https://x/y", "C:\\a/b", "~/name", "o/" + "n" * 97, "owner/name@-x"],
)  # fmt: skip
def test_other_texts_are_not_names_on_the_hub(text: str) -> None:
    assert not hub.looks_like_name(text)


def test_the_environment_sets_the_hubs_address(server: Hub, tmp_path: Path) -> None:
    """In a subprocess with a mirror in HF_ENDPOINT, as a user would have it."""
    program = "import sys; from emocatcher.models import hub; print(hub.fetch(sys.argv[1]))"
    environment = os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, NAME], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert model_folder.read(Path(done.stdout.strip())).config.name == "small"
    assert str(tmp_path / "home") in done.stdout
    assert done.stderr == ""
