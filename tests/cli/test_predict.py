"""`predict` and `convert`."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher.recognition import recognizer

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def model(small_run: Any) -> Path:
    folder: Path = small_run.folder / "fold_0" / "last"
    return folder


@pytest.fixture(scope="module")
def clip(small_run: Any) -> Path:
    path: Path = small_run.corpus.utterances[7].path
    return path


def test_it_prints_the_emotion(call: Call, model: Path, clip: Path) -> None:
    said = call("predict", clip, "--model", model)
    heard = recognizer.load(model).predict(clip)
    assert said.code == 0
    assert said.err == ""
    first, second, *others = said.out.splitlines()
    assert first == str(clip)
    assert f"{heard.emotion} {heard.probability:.0%}" in second
    assert ("no speech found" in second) == any(caution.code == "no-speech" for caution in heard.warnings)
    for emotion, probability in heard.probabilities.items():
        assert any(emotion in line and f"{probability:.1%}" in line for line in others)
    nobody = any(caution.code in ("no-speech", "no-voiced-span") for caution in heard.warnings)
    span = f"voice from {heard.voiced_start_s:.2f} to {heard.voiced_end_s:.2f} s"
    assert ("no voice stands out" if nobody else span) in said.out


def test_of_silence_it_names_no_voice(call: Call, model: Path, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(22_050, np.float32), 22_050)
    said = call("predict", silence, "--model", model)
    assert "no voice stands out" in said.out
    assert "voice from" not in said.out


def test_piped_output_is_plain(process: Callable[..., Any], model: Path, clip: Path) -> None:
    said = process(["predict", str(clip), "--model", str(model)])
    assert said.code == 0
    assert "\x1b" not in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    "name", ["two\nlines.wav", "[red]x[/y].wav", " leading space.wav", "ü 感情.wav", "\x1b[31m.wav"]
)
def test_any_file_name_will_do(call: Call, model: Path, clip: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    shutil.copy(clip, tmp_path / name)
    said = call("predict", tmp_path / name, "--model", model)
    assert said.code == 0
    assert "\x1b" not in said.out
    shown = name.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert said.out.splitlines()[0] == str(tmp_path / shown)


def test_convert_says_what_it_made(call: Call, tmp_path: Path) -> None:
    import re

    import torch

    from emocatcher.foundation.settings import load_preset
    from emocatcher.models.networks.registry import build

    ours = build(load_preset("cabg"), 8).state_dict()
    names = (
        (r"blocks\.(\d)\.conv\.", lambda m: f"conv_block{int(m[1]) + 1}.conv_block.0."),
        (r"blocks\.(\d)\.norm\.", lambda m: f"conv_block{int(m[1]) + 1}.conv_block.1.layer_norm."),
        (r"^norm\.", "gru_layernorm."), (r"\.query\.", ".linear_q."), (r"\.key\.", ".linear_k."),
        (r"\.score\.", ".linear_z."), (r"^hidden\.", "linear1.0."), (r"^hidden_norm\.", "linear1.1."),
        (r"^output\.", "linear2."),
    )  # fmt: skip
    published = {}
    for name, tensor in ours.items():
        for pattern, theirs in names:
            name = re.sub(pattern, theirs, name)
        published[name] = tensor
    torch.save(published, tmp_path / "best.pth")
    said = call("convert", tmp_path / "best.pth", "--to", tmp_path / "model")
    assert said.code == 0
    assert "166,729 parameters" in said.out
    assert recognizer.load(tmp_path / "model").config.n_parameters == 166_729
