"""`info`: a model's card in the terminal."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.foundation.settings import load_preset
from emocatcher.models import model_folder
from emocatcher.models.model_folder import ModelConfig, Training
from emocatcher.recognition import json_schema

Call = Callable[..., Any]
CONFIG = ModelConfig(
    name="made-up", version="1.2.3", labels=("happy", "bored"), settings=load_preset("cabg"), n_parameters=1_234_567,
    training=Training(
        corpus="my voices", licence="CC BY 4.0 (someone)", protocol="speakers-5", fold=3, speakers_shared=False,
        selection="last", epoch=7, seed=5, scores={"accuracy": 0.625, "expected_calibration_error_before": 0.12,
        "expected_calibration_error": 0.034}, note="Made for a test.",
    ), temperature=1.5, abstain_below=0.4,
)  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(config: ModelConfig = CONFIG, **training: Any) -> Path:
        config = msgspec.structs.replace(config, training=msgspec.structs.replace(config.training, **training))
        model_folder.write(tmp_path / "model", config, {"output.bias": np.zeros(2, np.float32)}, b"no real graph")
        return tmp_path / "model"

    return write


def test_it_tells_all_that_the_folder_knows(call: Call, write: Callable[..., Path]) -> None:
    folder = write()
    (folder / model_folder.CARD).write_text(
        "# made-up\n\n## Limits\n\nFit for\ntests.\n\n## Thanks\n", encoding="utf-8"
    )
    said = call("info", folder)
    assert (said.code, said.err) == (0, "")
    told = " ".join(said.out.split())  # long lines wrap
    for fact in (
        "made-up, by emocatcher 1.2.3", "■ happy ■ bored", "22,050 Hz", "1,234,567", "my voices",
        "speakers-5, fold 3; no speaker in both parts", "last, epoch 7, seed 5", "accuracy 62.5%", "temperature 1.5;",
        "calibration error 0.120 before, 0.034 after", "below a probability of 40%", "CC BY 4.0 (someone)",
        "Made for a test.", "Fit for tests.", str(folder),
    ):  # fmt: skip
        assert fact in told


def test_what_is_not_known_is_not_claimed(call: Call, write: Callable[..., Path]) -> None:
    plain = msgspec.structs.replace(CONFIG, temperature=1.0, abstain_below=0.0)
    folder = write(plain, epoch=None, seed=None, scores={}, note="", fold=None, speakers_shared=None)
    (folder / model_folder.CARD).unlink()
    said = call("info", folder)
    assert said.code == 0
    assert "none: the probabilities are the network's own" in said.out
    assert "never" in said.out
    for absent in ("epoch", "seed", "Scores", "Note", "fold 3", "speaker in", "None", "Limits"):
        assert absent not in said.out


def test_what_flatters_or_is_made_up_is_marked(call: Call, write: Callable[..., Path]) -> None:
    said = call("info", write(selection="best-test", synthetic=True, speakers_shared=True))
    assert "best-test (optimistic: chosen by the test part)" in said.out
    assert "SYNTHETIC" in said.out
    assert "test speakers heard in training too" in said.out


def test_a_card_from_elsewhere_cannot_steer_the_terminal(call: Call, write: Callable[..., Path]) -> None:
    odd = msgspec.structs.replace(CONFIG, name="\x1b[2J", labels=("[red]x[/y]", "\x1b[31my"))
    folder = write(odd, note="\x1b]0;title\x07", licence="[bold")
    (folder / model_folder.CARD).write_bytes(b"## Limits\n\x1b[5mnone\xff\n## More\n")
    said = call("info", folder)
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "\x07" not in said.out
    assert "[red]x[/y]" in said.out


def test_as_json_it_is_the_folders_own(call: Call, write: Callable[..., Path]) -> None:
    folder = write()
    said = call("info", folder, "--json")
    assert json.loads(said.out) == json.loads((folder / model_folder.CONFIG).read_bytes())


def test_the_schema_is_the_published_one(call: Call) -> None:
    said = call("info", "--schema")
    assert said.out == json_schema.prediction_schema_text()


@pytest.mark.parametrize("name", ["no-such-model", "no/such/folder"])
def test_a_model_that_is_not_there_is_one_line(call: Call, name: str) -> None:
    said = call("info", name)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1


def test_without_a_name_it_is_the_model_that_comes_with_the_package(call: Call) -> None:
    folder = model_folder.bundled()
    if folder is None:
        pytest.skip("no model comes with this checkout")
    said = call("info")
    assert said.code == 0
    assert model_folder.read(folder).config.name in said.out


def test_it_never_loads_the_runtime(write: Callable[..., Path]) -> None:
    program = (
        "import sys\n"
        "sys.modules['onnxruntime'] = None\n"
        "sys.argv = ['emocatcher', 'info', sys.argv[1]]\n"
        "from emocatcher.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(write())], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert "made-up" in done.stdout
