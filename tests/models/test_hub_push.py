"""Publish models with the real huggingface_hub, to a loopback server that implements the hub's API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emocatcher.foundation.errors import MissingExtraError, ModelError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import finding, hub_push, model_folder

from .stand_in_hub import COMMIT, TOKEN, Hub

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")
from huggingface_hub import constants  # noqa: E402

# Of huggingface_hub itself, when it sends a file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "owner/small"
SENT = {"config.json", "model.safetensors", "model.onnx", "README.md", "LICENSE.md", "NOTICE"}


def write_model(folder: Path, **changes: object) -> model_folder.Bundle:
    training = model_folder.Training(
        **{  # type: ignore[arg-type]
            "corpus": "crema-d+nemo", "licence": "crema-d: ODbL 1.0, contents DbCL 1.0; nemo: CC BY-NC-SA 4.0",
            "protocol": "speakers-5", "fold": None, "speakers_shared": False, "selection": "last", "epoch": 1,
            "seed": 0,
            "scores": {"unweighted_average_recall": 0.61234, "accuracy": 0.7, "unweighted_average_recall_on_nemo": 0.5},
            **changes,
        }
    )  # fmt: skip
    config = model_folder.ModelConfig(
        name="small", version="0", labels=("sad", "glad"), settings=load_preset("cabg"), training=training,
        n_parameters=3,
    )  # fmt: skip
    return model_folder.write(folder, config, {"output.bias": np.arange(3.0)}, b"a graph")


@pytest.fixture
def model(tmp_path: Path) -> model_folder.Bundle:
    made = write_model(tmp_path / "model")
    (made.path / "adaptation.html").write_text("names of my callers")
    (made.path / ".env").write_text("secret")
    return made


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        # The library reads the environment when it is imported, which may already have happened.
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # between two tries
        yield server
        server.ended.set()
        server.shutdown()


def test_exactly_the_files_of_a_model_are_sent_and_can_be_loaded_again(server: Hub, model: model_folder.Bundle) -> None:
    done = hub_push.push(NAME, hub_push.files(model, NAME))
    assert done == hub_push.Pushed(f"{server.url}/{NAME}", private=True)
    files = server.repositories[NAME]["main"]
    assert set(files) == SENT
    assert server.private[NAME]
    for name in ("config.json", "model.safetensors", "model.onnx"):
        assert files[name] == (model.path / name).read_bytes()
    assert model_folder.read(finding.find_folder(NAME)).config == model.config
    assert b"model.onnx" not in files["README.md"].split(b"---")[2]
    assert all("telemetry" not in path for _, path in server.asked)


def test_a_second_push_needs_overwrite_and_keeps_the_visibility(server: Hub, model: model_folder.Bundle) -> None:
    hub_push.push(NAME, hub_push.files(model, NAME), private=False)
    assert not server.private[NAME]
    asked = len(server.asked)
    with pytest.raises(ModelError, match=r"has files already \(.*Give --overwrite"):
        hub_push.push(NAME, hub_push.files(model, NAME))
    assert all(method == "GET" for method, _ in server.asked[asked:])
    newer = write_model(model.path, note="newer")
    done = hub_push.push(NAME, hub_push.files(newer, NAME), overwrite=True)
    assert not done.private
    assert b"newer" in server.repositories[NAME][COMMIT]["config.json"]


def test_the_header_of_the_card_is_what_the_hub_reads(model: model_folder.Bundle) -> None:
    text = hub_push.files(model, NAME)["README.md"]
    assert isinstance(text, bytes)
    data = huggingface_hub.ModelCard(text.decode()).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("emocatcher", "audio-classification", "other")
    assert (data.license_link, data.language) == ("LICENSE.md", ["en", "pl"])
    assert data.datasets == ["crema-d", "nemo"]
    found = {(one.dataset_type, one.metric_name): one.metric_value for one in data.eval_results}
    assert found == {
        ("crema-d+nemo", "Unweighted average recall (UAR)"): 0.6123, ("crema-d+nemo", "Accuracy"): 0.7,
        ("nemo", "Unweighted average recall (UAR)"): 0.5,
    }  # fmt: skip
    assert f'emocatcher.load("{NAME}")' in text.decode()


@pytest.mark.parametrize(
    ("licence", "expected"),
    [("CC BY 4.0", "cc-by-4.0"), ("a: CC BY 4.0; b: CC BY 4.0", "cc-by-4.0"), ("research only", "other")],
)
def test_a_licence_that_the_hub_knows_has_its_name(tmp_path: Path, licence: str, expected: str) -> None:
    made = write_model(tmp_path, licence=licence)
    text = hub_push.files(made, NAME)["README.md"]
    assert isinstance(text, bytes)
    assert huggingface_hub.ModelCard(text.decode()).data.license == expected


def test_licences_and_notices_name_whose_work_is_in_the_weights(model: model_folder.Bundle, tmp_path: Path) -> None:
    sent = hub_push.files(model, NAME)
    assert b"nemo: CC BY-NC-SA 4.0" in sent["LICENSE.md"]  # type: ignore[operator]
    assert b"Cao" in sent["NOTICE"]  # type: ignore[operator]
    own = hub_push.files(write_model(tmp_path / "own", corpus="calls", licence="ours"), NAME)
    assert b"Recordings: calls\n  Licence: ours" in own["NOTICE"]  # type: ignore[operator]
    folder = model_folder.bundled("emocatcher-3")
    assert folder is not None
    with_encoder = hub_push.files(model_folder.read(folder), NAME)["NOTICE"]
    assert b"Copyright (c) 2022 OpenAI" in with_encoder  # type: ignore[operator]
    assert b"Permission is hereby granted" in with_encoder  # type: ignore[operator]


def test_an_edited_card_keeps_its_text(model: model_folder.Bundle) -> None:
    (model.path / "README.md").write_text("---\nlicense: mit\n---\n\n# Ours\n\n---\n\nWritten by hand.\n")
    text = hub_push.files(model, NAME)["README.md"]
    assert isinstance(text, bytes)
    assert b"# Ours\n\n---\n\nWritten by hand.\n\n## Use it" in text
    assert b"license: mit" not in text
    (model.path / "README.md").write_bytes(text)
    assert hub_push.files(model, NAME)["README.md"] == text  # a second time adds nothing


def refusal(model: model_folder.Bundle, **options: bool) -> str:
    with pytest.raises(ModelError) as raised:
        hub_push.push(NAME, hub_push.files(model, NAME), **options)
    message = str(raised.value)
    assert "\n" not in message
    assert TOKEN not in message
    return message


@pytest.mark.parametrize(
    "part", ["/api/models/", "repos/create", "/preupload/", "/objects/batch", "/store/", "/commit/"]
)
@pytest.mark.parametrize(
    ("failure", "expected"),
    [(401, "does not accept the token"), (403, "does not allow this token to write"), (500, "answered 500"),
     ("cut", "cannot be reached, or broke off")],
)  # fmt: skip
def test_a_failure_of_the_hub_is_one_line_without_the_token(
    server: Hub, model: model_folder.Bundle, part: str, failure: object, expected: str
) -> None:
    server.failures[part] = failure
    message = refusal(model)
    if (part, failure) == ("/api/models/", 401):  # the hub's answer for a repository that is missing, too
        expected = "does not accept the token"
    assert expected in message
    assert len(server.asked) < 60
    assert not server.repositories.get(NAME, {}).get("main")


def test_a_hub_that_hangs_is_left_after_a_time_limit(server: Hub, model: model_folder.Bundle) -> None:
    import httpx2

    server.failures["/preupload/"] = "hang"
    huggingface_hub.set_client_factory(lambda: httpx2.Client(timeout=0.05))
    try:
        assert "cannot be reached, or broke off" in refusal(model)
    finally:
        huggingface_hub.set_client_factory(huggingface_hub.utils._http.default_client_factory)


def test_no_token_no_network_and_no_library_are_named(
    server: Hub, model: model_folder.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    assert "hf auth login" in refusal(model)
    assert server.asked == []
    Path(constants.HF_TOKEN_PATH).write_text(TOKEN)  # as `hf auth login` stores it
    hub_push.push(NAME, hub_push.files(model, NAME))
    assert f"authorization: bearer {TOKEN}" in server.headers[0].lower()
    server.server_close()
    assert "Check the connection, HF_ENDPOINT" in refusal(model)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="extra 'hub'"):
        hub_push.push(NAME, {})


@pytest.mark.parametrize("name", ["small", "owner/small@main", "a/b/c", "owner/../x"])
def test_a_name_that_is_none_of_the_hubs_is_refused(model: model_folder.Bundle, name: str) -> None:
    with pytest.raises(ModelError, match="Write owner/name"):
        hub_push.files(model, name)


def as_user(server: Hub, tmp_path: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with a stand-in's address in HF_ENDPOINT."""
    home = str(tmp_path / "home")
    own = {"HF_ENDPOINT": server.url, "HF_HOME": home, "HF_HUB_OFFLINE": "0", "COLUMNS": "120"}
    environment = os.environ | own | more
    return subprocess.run(
        [sys.executable, "-m", "emocatcher", *words],
        capture_output=True, text=True, check=False, env=environment, timeout=100,
    )  # fmt: skip


@pytest.mark.slow
def test_a_model_is_published_and_used_by_its_name_with_commands(server: Hub, tmp_path: Path) -> None:
    """The included model, with the command line in processes of its own."""
    import soundfile

    done = as_user(server, tmp_path, "push", "cabg", NAME, HF_HUB_DISABLE_XET="1")
    assert done.returncode == 0, done.stderr
    assert f"Published at {server.url}/{NAME} (private" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(16_000) / 20.0), 16_000)
    out = str(tmp_path / "a.jsonl")
    done = as_user(server, tmp_path, "predict", str(tmp_path / "a.wav"), "--model", NAME, "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads(Path(out).read_text())["model"] == "cabg"


@pytest.mark.slow
def test_large_files_go_through_the_hubs_store_of_chunks_without_telemetry(server: Hub, tmp_path: Path) -> None:
    """With hf_xet, as huggingface_hub is installed; the stand-in answers that it has all chunks."""
    pytest.importorskip("hf_xet", reason="huggingface_hub was installed without hf_xet")
    done = as_user(server, tmp_path, "push", "cabg", NAME, HF_HUB_DISABLE_XET="0")
    assert done.returncode == 0, done.stderr
    paths = [path for _, path in server.asked]
    assert any(path.startswith("/cas/") and path.endswith("/shards") for path in paths)
    assert not any("/objects/batch" in path or "telemetry" in path for path in paths)
    assert set(server.repositories[NAME]["main"]) == SENT
    server.failures["/shards"] = 403
    done = as_user(server, tmp_path, "push", "cabg", "owner/other", HF_HUB_DISABLE_XET="0")
    assert done.returncode == 2
    assert "'owner/other' was not published" in done.stderr
    assert len(done.stderr.splitlines()) == 1
