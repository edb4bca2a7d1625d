"""The model's files for the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import emocatcher
import model_files
from emocatcher.models import model_folder
from emocatcher.recognition.parity.answers import python_path
from emocatcher.server import web_page
from emocatcher.server.model_description import ModelDescription, describe

pytest.importorskip("onnx", reason="needs the extra 'export'")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the default model, in the `dist/page` of a checkout."""
    folder = tmp_path_factory.mktemp("checkout") / "dist" / "page"
    assert model_files.main([str(folder)]) == 0
    return folder


def test_the_command_writes_a_graph_and_its_description(page: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(page / "model" / "waveform.onnx"))
    waveform = np.random.default_rng(0).normal(0.0, 0.1, 22_050).astype(np.float32)
    (probabilities,) = session.run(["probabilities"], {"waveform": waveform})
    recognizer = emocatcher.load()
    assert np.allclose(probabilities, python_path(recognizer)(waveform).probabilities, atol=1e-4)
    written = msgspec.json.decode((page / "model" / "model.json").read_bytes(), type=ModelDescription)
    assert written.labels == recognizer.config.labels
    assert (written.name, written.sample_rate_hz, written.waveform_onnx) == (
        recognizer.config.name,
        16_000,
        "waveform.onnx",
    )
    assert written.card.startswith("---")


def test_a_wheel_has_the_weights_of_the_default_model_once(
    page: Path, page_in_wheel: Callable[[Path], dict[str, bytes]], tmp_path: Path
) -> None:
    (page / "index.html").write_text("hello")
    checkout = page.parents[1]
    (checkout / "src").mkdir()
    (checkout / "src" / "emocatcher").symlink_to(Path(emocatcher.__file__).parent)
    for name, content in page_in_wheel(checkout).items():
        assert len(content) < 50_000
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    read = web_page.read(tmp_path / "emocatcher" / "server" / "page", web_page.GRAPH)
    assert read == (page / "model" / "waveform.onnx").read_bytes()


def test_a_missing_model_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert model_files.main([str(tmp_path), "no-such-model"]) == 2
    assert capsys.readouterr().err.startswith("Error: No model 'no-such-model'")


def test_a_description_equals_the_model_folders_settings() -> None:
    folder = model_folder.bundled()
    assert folder is not None
    opened = model_folder.read(folder)
    described = describe(opened, waveform_onnx=None, token_required=True)
    assert (described.temperature, described.n_parameters) == (opened.config.temperature, opened.config.n_parameters)
    assert described.training.licence == opened.config.training.licence
    assert described.weights_sha256 == opened.config.sha256[model_folder.WEIGHTS]
    assert described.longest_voiced_s is not None
    assert 3.0 < described.longest_voiced_s < 6.0
    assert (described.waveform_onnx, described.token_required, described.listen_corpus) == (None, True, False)
