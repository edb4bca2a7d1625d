"""`timeline`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from emocatcher.cli.timeline import clock
from emocatcher.recognition import recognizer
from emocatcher.recognition.prediction import Caution

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def model(small_run: Any) -> Path:
    folder: Path = small_run.folder / "fold_0" / "last"
    return folder


@pytest.fixture(scope="module")
def talk(small_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five voices, one after the other."""
    clips = [soundfile.read(utterance.path)[0] for utterance in small_run.corpus.utterances[:5]]
    rate = soundfile.info(small_run.corpus.utterances[0].path).samplerate
    path = tmp_path_factory.mktemp("talk") / "talk [one].wav"
    soundfile.write(path, np.concatenate(clips), rate)
    return path


def test_it_prints_a_table(call: Call, model: Path, talk: Path) -> None:
    outcome = call("timeline", talk, "--model", model)
    expected = recognizer.load(model).timeline(talk)
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.split() for line in outcome.out.splitlines() if line.strip()]
    assert lines[0] == ["from", "to", "emotion", "probability"]
    for line, segment in zip(lines[2:], expected.segments, strict=True):
        assert line[:2] == [clock(segment.start_s), clock(segment.end_s)]
        assert segment.emotion in {line[2], None}


def test_answers_below_the_threshold_are_marked(call: Call, model: Path, talk: Path) -> None:
    expected = recognizer.load(model).timeline(talk, abstain_below=0.99)
    assert all(segment.abstain for segment in expected.segments)
    outcome = call("timeline", talk, "--model", model, "--abstain-below", "0.99").out
    assert outcome.rstrip().endswith("?  below 99%: treat it as no answer")
    for segment in expected.segments:
        assert segment.emotion is None or f" {segment.emotion}? " in outcome
    assert "?" not in call("timeline", talk, "--model", model, "--abstain-below", "0").out
    refused = call("timeline", talk, "--abstain-below", "62")
    assert refused.code == 2
    assert refused.err == "Error: The threshold for abstaining is 62. Give a probability, 0 to 1\n"


def test_warnings_are_printed_below_the_table_and_beside_a_file(
    call: Call, model: Path, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recognizer.load(model).timeline(talk)
    warned = msgspec.structs.replace(found, warnings=(Caution("damaged", "2.0 s were lost at 0:03"),))
    monkeypatch.setattr(recognizer.Recognizer, "timeline", lambda *_, **__: warned)
    assert call("timeline", talk, "--model", model).out.rstrip().endswith("\n! 2.0 s were lost at 0:03")
    assert call("timeline", talk, "--model", model, "--out", tmp_path / "a.csv").err == "! 2.0 s were lost at 0:03\n"
    outcome = call("timeline", talk, "--model", model, "--format", "json")
    assert json.loads(outcome.out)["warnings"] == [{"code": "damaged", "message": "2.0 s were lost at 0:03"}]


def test_it_prints_json(call: Call, model: Path, talk: Path) -> None:
    outcome = call("timeline", talk, "--model", model, "--format", "json", "--window", "2", "--hop", "1")
    found = json.loads(outcome.out)
    assert (found["window_s"], found["hop_s"], found["path"]) == (2.0, 1.0, str(talk))
    assert len(found["windows"]) == 1 + int(found["duration_s"] - 2.0) + (found["duration_s"] % 1 > 0)


@pytest.mark.parametrize("name", ["t.json", "t.csv", "t.parquet", "t.srt", "t.vtt", "t.TextGrid", "t.txt"])
def test_the_suffix_sets_the_format(call: Call, model: Path, talk: Path, tmp_path: Path, name: str) -> None:
    from emocatcher.recognition.timeline import formats

    out = tmp_path / name
    outcome = call("timeline", talk, "--model", model, "--out", out)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    expected = recognizer.load(model).timeline(talk)
    assert out.read_bytes() == formats.encode(expected, formats.format_of(out))


def test_existing_files_are_replaced_only_with_overwrite(call: Call, model: Path, talk: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "t.csv", tmp_path / "t.svg"
    arguments = ("timeline", talk, "--model", model, "--out", out, "--plot", plot)
    assert call(*arguments).code == 0
    assert plot.read_text(encoding="utf-8").startswith("<?xml")
    first = out.read_bytes()
    out.write_bytes(b"mine")
    outcome = call(*arguments)
    assert outcome.code == 2
    assert "exists already. Give another name, or --overwrite" in outcome.err
    assert out.read_bytes() == b"mine"
    assert call(*arguments, "--overwrite").code == 0
    assert out.read_bytes() == first


def test_a_table_can_be_written_to_a_file(call: Call, model: Path, talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.txt"
    assert call("timeline", talk, "--model", model, "--format", "table", "--out", out).code == 0
    assert out.read_text(encoding="utf-8").split()[:4] == ["from", "to", "emotion", "probability"]


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--format", "cvs"], "Did you mean 'csv'"),
        (["--out", "talk.doc"], "'talk.doc' has no known format suffix"),
        (["--out", "talk.SRT", "--format", "csv"], "'talk.SRT' ends with .srt, and --format is csv"),
        (["--out", "talk.csv", "--format", "table"], "'talk.csv' ends with .csv, and --format is table"),
        (["--plot", "talk.gif"], "ends in .svg or .png"),
        (["--window", "0.1"], "The window is 0.1 s"),
        (["--hop", "5"], "The hop is 5 s"),
        (["--hop", "nan"], "The hop is nan s"),
        (["--out", ".", "--format", "csv"], "is a folder"),
        (["--out", "/proc/none/t.csv"], "cannot be written"),
    ],
)
def test_an_error_is_one_line(call: Call, model: Path, talk: Path, arguments: list[str], needed: str) -> None:
    outcome = call("timeline", talk, "--model", model, *arguments)
    assert outcome.code == 2
    assert needed in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


def test_a_long_recording_has_a_progress_bar(call: Call, model: Path, talk: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(talk)
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(samples, 14), rate)
    outcome = call("timeline", long, "--model", model, "--hop", "3")
    assert outcome.code == 0
    assert "timeline: " in outcome.err


def test_each_channel_has_its_table_and_its_tiers(call: Call, model: Path, talk: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(talk)
    stereo, out = tmp_path / "call.wav", tmp_path / "call.TextGrid"
    soundfile.write(stereo, np.stack([samples, samples[::-1]], axis=1), rate)
    printed = call("timeline", stereo, "--model", model, "--channels", "each")
    assert printed.code == 0
    assert [line.strip() for line in printed.out.splitlines() if line.startswith("channel")] == [
        "channel 1",
        "channel 2",
    ]
    plot = tmp_path / "call.svg"
    assert call("timeline", stereo, "--model", model, "--channels", "each", "--out", out, "--plot", plot).code == 0
    assert 'name = "emotion 2"' in out.read_text()
    assert "channel 2" in plot.read_text()
    right = json.loads(call("timeline", stereo, "--model", model, "--channels", "right", "--format", "json").out)
    assert right["channel"] == 2
    missing = call("timeline", talk, "--model", model, "--channels", "right")
    assert (missing.code, "so there is no channel 2" in missing.err) == (2, True)


def test_turns_of_speakers_are_printed_with_a_sum_for_each(
    call: Call, model: Path, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = tmp_path / "turns.csv"
    turns.write_text("start,end,speaker\n0,2,Ann\n1.5,4,Bob [x]\n4,6,Ann\n5,6.5,Ann\n")
    printed = call("timeline", talk, "--model", model, "--speakers", turns)
    assert printed.code == 0
    assert printed.err == "Note: 1 of 4 turns joined with another of their speaker that they overlap\n"
    words = [line.split() for line in printed.out.splitlines() if line.strip()]
    assert words[0][:4] == ["speaker", "turns", "seconds", "overlap"]
    assert words[2][:4] == ["Ann", "2", "4.5", "11%"]
    assert words[3][:5] == ["Bob", "[x]", "1", "2.5", "20%"]
    of_turns = [line for line in words[5:] if line[0].startswith("0:")]
    assert [line[:3] for line in of_turns] == [["0:00.0", "0:02.0", "Ann"], ["0:01.5", "0:04.0", "Bob"],
                                               ["0:04.0", "0:06.5", "Ann"]]  # fmt: skip
    assert [line[-2:] == ["0.5", "s"] for line in of_turns] == [True, True, False]
    out, plot = tmp_path / "t.json", tmp_path / "t.svg"
    assert call("timeline", talk, "--model", model, "--speakers", turns, "--out", out, "--plot", plot).code == 0
    assert [one["speaker"] for one in json.loads(out.read_text())] == ["Ann", "Bob [x]"]
    assert "Bob [x]" in plot.read_text(encoding="utf-8")


def test_turns_that_cannot_be_used_leave_nothing_behind(call: Call, model: Path, talk: Path, tmp_path: Path) -> None:
    out, turns = tmp_path / "t.csv", tmp_path / "turns.rttm"
    out.write_text("mine")
    turns.write_text("SPEAKER talk 1 500 2 <NA> <NA> Ann <NA> <NA>\n")
    outcome = call("timeline", talk, "--model", model, "--speakers", turns, "--out", out, "--overwrite")
    assert (outcome.code, outcome.out, out.read_text()) == (2, "", "mine")
    assert "1 of 1 turns are past the end" in outcome.err.splitlines()[-1]
    both = call("timeline", talk, "--speakers", turns, "--channels", "each")
    assert (both.code, both.out) == (2, "")
    assert both.err == "Error: --speakers and --channels each both divide the recording. Give only one of them\n"
