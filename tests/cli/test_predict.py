"""`predict` and `convert`."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher.recognition import recognizer
from emocatcher.recognition.timeline import speech_s

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
    outcome = call("predict", clip, "--model", model)
    prediction = recognizer.load(model).predict(clip)
    assert outcome.code == 0
    assert outcome.err == ""
    first, second, *others = outcome.out.splitlines()
    assert first == str(clip)
    assert f"{prediction.emotion} {prediction.probability:.0%}" in second
    assert ("no speech found" in second) == any(caution.code == "no-speech" for caution in prediction.warnings)
    for emotion, probability in prediction.probabilities.items():
        assert any(emotion in line and f"{probability:.1%}" in line for line in others)
    no_voice = any(caution.code in ("no-speech", "no-voiced-span") for caution in prediction.warnings)
    span = f"voice from {prediction.voiced_start_s:.2f} to {prediction.voiced_end_s:.2f} s"
    assert ("no voice found" if no_voice else span) in outcome.out


def test_the_card_of_silence_shows_no_emotion_and_no_voice(call: Call, model: Path, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(22_050, np.float32), 22_050)
    outcome = call("predict", silence, "--model", model)
    assert [line.strip() for line in outcome.out.splitlines()[1:]] == [
        "no speech found in 1.00 s",
        "! no speech was found, so there is no emotion",
    ]


def test_piped_output_is_plain(process: Callable[..., Any], model: Path, clip: Path) -> None:
    outcome = process(["predict", str(clip), "--model", str(model)])
    assert outcome.code == 0
    assert "\x1b" not in outcome.out
    assert outcome.err == ""


@pytest.mark.parametrize(
    "name", ["two\nlines.wav", "[red]x[/y].wav", " leading space.wav", "ü 感情.wav", "\x1b[31m.wav"]
)
def test_any_file_name_is_accepted(call: Call, model: Path, clip: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    shutil.copy(clip, tmp_path / name)
    outcome = call("predict", tmp_path / name, "--model", model)
    assert outcome.code == 0
    assert "\x1b" not in outcome.out
    shown = name.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert outcome.out.splitlines()[0] == str(tmp_path / shown)


def test_convert_writes_a_model_folder(call: Call, tmp_path: Path) -> None:
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
    outcome = call("convert", tmp_path / "best.pth", "--to", tmp_path / "model")
    assert outcome.code == 0
    assert "166,729 parameters" in outcome.out
    assert recognizer.load(tmp_path / "model").config.n_parameters == 166_729


def test_a_long_recording_is_shown_by_the_shares_of_its_speech(
    call: Call, model: Path, clip: Path, small_run: Any, tmp_path: Path
) -> None:
    long = tmp_path / "long.wav"
    rate = soundfile.info(clip).samplerate
    voices = [soundfile.read(utterance.path)[0] for utterance in small_run.corpus.utterances[::41][:6]]
    soundfile.write(long, np.concatenate(voices), rate)
    timelines: list[Any] = []
    found = recognizer.load(model).predict(long, on_timeline=timelines.append)
    lines = call("predict", long, "--model", model).out.splitlines()
    ranked = sorted(((share, label) for label, share in found.shares.items() if share > 0), reverse=True)
    first = f"{ranked[0][1]} {ranked[0][0]:.0%}"
    assert lines[1].startswith(f"  {first}")
    assert lines[1].endswith(f" of {sum(speech_s(timelines[0]).values()):.1f} s of speech")
    rows = [line.split()[:2] for line in lines[3 : 3 + len(ranked)]]
    assert rows == [[label, f"{share:.1%}"] for share, label in ranked]
    # Every column with speech has the mark of one emotion.
    marks = np.array([[mark == "█" for mark in line[-60:]] for line in lines[3 : 3 + len(ranked)]])
    assert marks.sum(axis=0).max() == 1
    assert marks.mean(axis=1) == pytest.approx([share * marks.any(axis=0).mean() for share, _ in ranked], abs=0.05)
    several = call("predict", long, clip, "--model", model).out.splitlines()
    assert several[0].split()[:2] == [ranked[0][1], f"{ranked[0][0]:.0%}"]
    assert f" {long}: {first}" in several[0]


def test_each_channel_has_its_card_and_its_line(call: Call, model: Path, clip: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(clip)
    stereo = tmp_path / "call.wav"
    soundfile.write(stereo, np.stack([samples, samples[::-1]], axis=1), rate)
    names = [f"{stereo}, channel {channel}" for channel in (1, 2)]
    cards = call("predict", stereo, "--model", model, "--channels", "each")
    assert [line for line in cards.out.splitlines() if line.startswith(str(stereo))] == names
    lines = call("predict", stereo, clip, "--model", model, "--channels", "each").out.splitlines()
    assert [line.partition(" ! ")[0].rstrip().endswith(name) for line, name in zip(lines, names, strict=False)] == [
        True
    ] * 2
    assert f"{clip}, channel 1" in lines[2]
    missing = call("predict", clip, "--model", model, "--channels", "right")
    assert (missing.code, "so there is no channel 2" in missing.err) == (2, True)
