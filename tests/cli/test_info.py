"""`info`: the model card in the terminal."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.evaluation.scoring.adaptation import Adaptation
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


def test_it_prints_all_facts_of_the_model_folder(call: Call, write: Callable[..., Path]) -> None:
    folder = write()
    (folder / model_folder.CARD).write_text(
        "# made-up\n\n## Limits\n\nFit for\ntests.\n\n## Thanks\n", encoding="utf-8"
    )
    outcome = call("info", folder)
    assert (outcome.code, outcome.err) == (0, "")
    text = " ".join(outcome.out.split())  # long lines wrap
    for fact in (
        "made-up, by emocatcher 1.2.3", "■ happy ■ bored", "22,050 Hz", "1,234,567", "my voices",
        "speakers-5, fold 3; no speaker is in both parts", "last, epoch 7, seed 5", "accuracy 62.5%",
        "temperature 1.5;", "calibration error 0.120 before, 0.034 after", "below a probability of 40%",
        "CC BY 4.0 (someone)", "Made for a test.", "Fit for tests.", str(folder),
    ):  # fmt: skip
        assert fact in text


def test_it_states_what_a_model_was_adapted_to_and_whose_scores_it_has(call: Call, write: Callable[..., Path]) -> None:
    labelled = Adaptation(
        model="base", model_sha256="", corpus="mine", n_recordings=20, n_speakers=3, labels=("happy", "bored"),
        n_of_label=(12, 8), validated_by="speakers", chosen="as it is",
    )  # fmt: skip
    own = Adaptation(
        model="mine", model_sha256="", corpus="calls", n_recordings=50, validated_by="nothing",
        chosen="its own answers", earlier=(labelled,),
    )  # fmt: skip
    text = " ".join(call("info", write(msgspec.structs.replace(CONFIG, adaptation=own))).out.split())
    assert "from base to 20 recordings of 3 speakers of mine (12 happy, 8 bored). Validation was on speakers" in text
    assert "from mine to 50 recordings of calls. They have no labels" in text
    assert "The scores are those of mine." in text


def test_unknown_facts_are_left_out(call: Call, write: Callable[..., Path]) -> None:
    plain = msgspec.structs.replace(CONFIG, temperature=1.0, abstain_below=0.0)
    folder = write(plain, epoch=None, seed=None, scores={}, note="", fold=None, speakers_shared=None)
    (folder / model_folder.CARD).unlink()
    outcome = call("info", folder)
    assert outcome.code == 0
    assert "none: the probabilities are the network's own" in outcome.out
    assert "never" in outcome.out
    for absent in ("epoch", "seed", "Scores", "Note", "fold 3", "speaker is in", "None", "Limits"):
        assert absent not in outcome.out


def test_optimistic_selection_and_synthetic_voices_are_marked(call: Call, write: Callable[..., Path]) -> None:
    outcome = call("info", write(selection="best-test", synthetic=True, speakers_shared=True))
    assert "best-test (optimistic: chosen on the test part)" in outcome.out
    assert "SYNTHETIC" in outcome.out
    assert "test speakers are also in training" in outcome.out


def test_escape_codes_in_a_card_do_not_reach_the_terminal(call: Call, write: Callable[..., Path]) -> None:
    odd = msgspec.structs.replace(CONFIG, labels=("[red]x[/y]", "y"))
    folder = write(odd, note="\x1b]0;title\x07", licence="[bold")
    (folder / model_folder.CARD).write_bytes(b"## Limits\n\x1b[5mnone\xff\n## More\n")
    outcome = call("info", folder)
    assert outcome.code == 0
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out
    assert "[red]x[/y]" in outcome.out


def test_json_equals_the_config_of_the_folder(call: Call, write: Callable[..., Path]) -> None:
    folder = write()
    outcome = call("info", folder, "--json")
    assert json.loads(outcome.out) == json.loads((folder / model_folder.CONFIG).read_bytes())


def test_the_schema_equals_the_published_one(call: Call) -> None:
    outcome = call("info", "--schema")
    assert outcome.out == json_schema.prediction_schema_text()


@pytest.mark.parametrize("name", ["no-such-model", "no/such/folder"])
def test_a_missing_model_is_one_line(call: Call, name: str) -> None:
    outcome = call("info", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1


def test_the_default_is_the_bundled_model(call: Call) -> None:
    folder = model_folder.bundled()
    if folder is None:
        pytest.skip("no model comes with this checkout")
    outcome = call("info")
    assert outcome.code == 0
    assert model_folder.read(folder).config.name in outcome.out


def test_it_does_not_load_onnx_runtime(write: Callable[..., Path]) -> None:
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
