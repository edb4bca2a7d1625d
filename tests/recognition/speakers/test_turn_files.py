"""Files of turns, in the shapes in which diarisers write them."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import speakers
from emocatcher.recognition.speakers import SpeakerTurn, turn_files, turns

KNOWN = (
    SpeakerTurn(0.25, 1.5, "SPEAKER_00"),
    SpeakerTurn(1.25, 4.0, "SPEAKER_01"),
    SpeakerTurn(5.0, 5.5, "SPEAKER_00"),
)
Shape = Callable[[Any], str]


def rows(found: Any, start: str = "start", end: str = "end", speaker: str = "speaker", **more: Any) -> list[Any]:
    return [more | {start: one.start_s, end: one.end_s, speaker: one.speaker} for one in found]


def rttm(found: Any, uri: str = "meeting", blanks: str = " ") -> str:
    lines = (
        ["SPEAKER", uri, "1", f"{a:.6f}", f"{b - a:.6f}", "<NA>", "<NA>", name, "<NA>", "<NA>"] for a, b, name in found
    )
    return "".join(blanks.join(fields) + "\n" for fields in lines)


def table(found: Any, columns: str, delimiter: str = ",") -> str:
    names = columns.split()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(names)
    for i, (start_s, end_s, speaker) in enumerate(found):
        values = {"start": start_s, "end": end_s, "speaker": speaker, "label": chr(65 + i), "text": "yes, no"}
        values |= {"start_time": start_s, "duration": end_s - start_s, "segment": f"[ {start_s} --> {end_s} ]"}
        writer.writerow([values.get(name, i) for name in names])
    return text.getvalue()


def whisperx(found: Any) -> str:
    words = [{"word": "Yes.", "score": math.nan, "speaker": "SPEAKER_00"}]  # a word that could not be aligned
    return json.dumps({"segments": rows(found, text=" Yes.", words=words), "word_segments": words, "language": "en"})


SHAPES: dict[str, Shape] = {
    "rttm": rttm,
    "rttm of NeMo": lambda found: rttm(found, blanks="   "),
    "rttm with other types and comments": lambda found: (
        ";; scored by hand\nSPKR-INFO meeting 1 <NA> <NA> <NA> unknown SPEAKER_00 <NA> <NA>\n\n"
        + rttm(found)
        + "LEXEME meeting 1 0.3 0.1 yes lex SPEAKER_00 0.9\n"
    ),
    "pyannote": lambda found: json.dumps({"diarization": rows(found), "exclusive_diarization": []}),
    "a job of pyannoteAI": lambda found: json.dumps({"jobId": "1", "output": {"diarization": rows(found)}}),
    "WhisperX": whisperx,
    "Whisper with speakers": lambda found: json.dumps(
        {"text": "Yes.", "segments": rows(found, id=0, seek=0, tokens=[1], text="Yes.")}
    ),
    "NeMo sentences": lambda found: json.dumps(
        {"words": [{"word": "yes"}], "sentences": rows(found, "start_time", "end_time", text="yes")}
    ),
    "NeMo sentences, earlier": lambda found: json.dumps(
        {"sentences": rows(found, "start_point", "end_point", "speaker_label")}
    ),
    "SegLST": lambda found: json.dumps(rows(found, "start_time", "end_time", session_id="meeting", words="yes")),
    "JSONL": lambda found: "\n".join(map(json.dumps, rows(found, "start_s", "end_s"))),
    "CSV": lambda found: table(found, "start end speaker"),
    "CSV of WhisperX": lambda found: table(found, "index segment label speaker start end"),
    "CSV with durations": lambda found: table(found, "speaker start_time duration text", ";"),
    "CSV of Excel": lambda found: "sep=;\n" + table(found, "start end speaker", ";"),
    "TSV": lambda found: table(found, "Start End Speaker".lower(), "\t"),
}  # fmt: skip


def read(folder: Path, content: str | bytes, recording: str = "calls/meeting.wav") -> tuple[SpeakerTurn, ...]:
    path = folder / "turns.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    notes: list[str] = []
    found = speakers.read(path, recording, notes.append)
    assert notes == []
    return found


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_gives_the_same_turns(tmp_path: Path, shape: Shape) -> None:
    mixed = random.Random(0).sample(KNOWN, len(KNOWN))  # in another order than that of time
    assert read(tmp_path, shape(mixed)) == KNOWN
    assert read(tmp_path, b"\xef\xbb\xbf" + shape(mixed).replace("\n", "\r\n").encode()) == KNOWN
    assert read(tmp_path, shape(mixed).encode("utf-16")) == KNOWN
    assert read(tmp_path, shape(mixed).encode("utf-16-le")) == KNOWN


_NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=8).filter(
    lambda name: not set(name) & set(",;\t\"'<=+-@＝＋－＠") and name.isprintable() and name.split() == [name]  # noqa: RUF001
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_all_turns_are_read_back_from_any_shape(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    names = data.draw(st.lists(_NAMES, min_size=1, max_size=4, unique=True))
    known, end_s = [], dict.fromkeys(names, 0.0)
    for _ in range(data.draw(st.integers(1, 12))):
        name = data.draw(st.sampled_from(names))
        start_ms, length_ms = data.draw(st.integers(0, 10_000)), data.draw(st.integers(1, 10_000))
        start_s = round(end_s[name] + start_ms / 1000, 3)
        end_s[name] = round(start_s + length_ms / 1000, 3)
        known.append(SpeakerTurn(start_s, end_s[name], name))
    folder = tmp_path_factory.getbasetemp()
    shape = SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))]
    assert read(folder, shape(known)) == tuple(sorted(known))


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text("SPEAKER 01.,;\t\n\"'{}[]:startendp<NA>", max_size=200)))
def test_any_content_gives_turns_or_an_error_for_the_user(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        found = speakers.read(path)
    except SettingError as error:
        message = str(error)
    else:
        message = ""
        assert found
        assert all(0 <= turn.start_s < turn.end_s and turn.speaker for turn in found)
    assert "\n" not in message


LINE = "SPEAKER meeting 1 {} {} <NA> <NA> A <NA> <NA>\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "turns.txt is empty"),
        (" \n\n", "turns.txt is empty"),
        (";; nothing\n", "turns.txt has no turns"),
        ("[]", "turns.txt has no turns"),
        ("start,end,speaker\n", "turns.txt has no turns"),
        (LINE.format("-1.0", "2.0"), "line 1: the start is negative: '-1.0'"),
        (LINE.format("1.0", "-0.5"), "line 1: the duration is negative"),
        (LINE.format("nan", "2.0"), "line 1: the start is no number: 'nan'. Give seconds"),
        (LINE.format("inf", "2.0"), "line 1: the start is too large: 'inf'"),
        (LINE.format("1.0", "<NA>"), "line 1: the duration is no number: '<NA>'"),
        (LINE.format("1.0", "2.0").replace(" A ", " Ann Lee Jones "), "line 1 has 12 fields"),
        (LINE.format("1.0", "2.0") + "and more\n", "line 2 is not RTTM: 'and more'"),
        ("start,end,speaker\n2.0,1.0,A\n", "line 2: the end, 1 s, is before the start, 2 s"),
        ("start,end,speaker\n0:02,0:03,A\n", "line 2: the start is no number: '0:02'"),
        ("start;end;speaker\n0,5;1,5;A\n", "line 2: the start is no number: '0,5'. Give seconds, with a decimal point"),
        ("start,end,speaker\n,1.0,A\n", "line 2: the start has no value"),
        ("start,end\n0,1\n", "has no column 'speaker'. Its columns: start, end. Needed: start, end, speaker"),
        ("begin,speaker\n0,A\n", "has no column 'start'"),
        ("start,speaker\n0,A\n", "has no column 'end'"),
        ("name,age\nAnn,30\n", "is neither RTTM, nor CSV with the columns start, end and speaker, nor JSON"),
        ("Dear all,\nhello\n", "is neither RTTM"),
        ("1\n00:00:01,000 --> 00:00:02,000\nHello\n", "is neither RTTM"),
        ('start,end,speaker\n0,1,"A\n', "not CSV"),
        (
            '{"text": "Yes.", "segments": [{"start": 0, "end": 1, "text": "Yes."}]}',
            "has no speakers, only times, as Wh",
        ),
        ('[{"start": NaN, "end": 1, "speaker": "A"}]', "turn 1: the start is no number: nan"),
        ('[{"start": true, "end": 1, "speaker": "A"}]', "turn 1: the start is no number: True"),
        ('[{"end": 1, "speaker": "A"}]', "turn 1: the start has no value"),
        ('[{"start": 0, "speaker": "A"}]', "turn 1: the end has no value"),
        ('[{"start": 1' + "0" * 400 + ', "end": 1, "speaker": "A"}]', "turn 1: the start is no number: 1"),
        ('[{"start": 0, "end": 1, "speaker": ["A"]}]', "turn 1: the speaker is ['A']"),
        ("[1, 2]", "turn 1 is a JSON int, not an object"),
        ('{"text": "Yes."}', "has no list of turns. Its keys: text."),
        ('{"segments": [', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("Ünï".encode("utf-16"), "is neither RTTM"),
        (b"RIFF\x00\xff\xfe\x00WAVE", "line 1: not UTF-8 text"),
    ],
)
def test_what_cannot_be_used_is_an_error_with_its_place(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_recordings_the_turns_of_this_one_are_taken(tmp_path: Path) -> None:
    other = rttm([SpeakerTurn(0.0, 9.0, "X")], uri="other")
    both = other + rttm(KNOWN)
    assert read(tmp_path, both) == KNOWN
    with pytest.raises(SettingError, match="turns of 2 recordings: 'other', 'meeting'; none is 'call'"):
        read(tmp_path, both, "call.wav")
    with pytest.raises(SettingError, match="the recording has no name"):
        read(tmp_path, both, "")
    notes: list[str] = []
    (tmp_path / "one.rttm").write_text(other)
    assert len(speakers.read(tmp_path / "one.rttm", "call.wav", notes.append)) == 1
    assert len(notes) == 1
    assert "names the recording 'other', and this is 'call.wav'" in notes[0]


def test_turns_that_need_a_change_are_counted_in_a_note(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("start,end,speaker\n0,2,A\n1,3,A\n2,2,B\n2.5,2.5004,B\n2,4,\n3,5,B\n")
    notes: list[str] = []
    found = speakers.read(path, on_note=notes.append)
    assert found == ((0.0, 3.0, "A"), (2.0, 4.0, "unknown"), (3.0, 5.0, "B"))
    assert [note.split(" ")[0] for note in notes] == ["1", "2", "1"]
    path.write_text("start,end,speaker\n2,2,A\n")
    with pytest.raises(SettingError, match="only turns without any length"):
        speakers.read(path)


def test_the_size_of_a_file_and_the_numbers_are_bounded(tmp_path: Path) -> None:
    lines = "".join(f"{i},{i + 1},S{i}\n" for i in range(turns.MOST_SPEAKERS + 1))
    with pytest.raises(SettingError, match="has 501 speakers; 500 are allowed"):
        read(tmp_path, "start,end,speaker\n" + lines)
    with pytest.raises(SettingError, match="more than 100,000 turns"):
        read(tmp_path, "[" + "{}," * turns.MOST_TURNS + "{}]")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(turn_files.LARGEST + 1)
    with pytest.raises(SettingError, match="has more than 32 MiB"):
        speakers.read(tmp_path / "large.json")
    with pytest.raises(SettingError, match="has more than 32 MiB"):
        speakers.read("/dev/zero")
    for name in (tmp_path, tmp_path / "none.rttm", "nul\0.rttm"):
        with pytest.raises(SettingError, match="cannot be read: "):
            speakers.read(name)


def test_a_formula_that_the_programs_own_tables_mark_is_read_back(tmp_path: Path) -> None:
    assert read(tmp_path, "start,end,speaker\n0,1,'=A1\n") == ((0.0, 1.0, "=A1"),)
