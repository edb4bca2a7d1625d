"""Each format, read back by an independent reader."""

import csv
import io
import re
from pathlib import Path

import msgspec
import numpy as np
import pysubs2
import pytest
import srt
import textgrid
import tgt
import webvtt

from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import timeline
from emocatcher.recognition.prediction import Caution
from emocatcher.recognition.timeline import Timeline, formats

from .conftest import RATE, MadeNetwork, is_loud, talk

ODD = ('gl"ad & <b>', "low\nand --> slow", "croß\tü")


@pytest.fixture(scope="module")
def odd() -> Timeline:
    """Labels that every format must quote in its own way, and segments that abstain."""
    found = timeline.recognise(MadeNetwork(ODD), is_loud, (talk(30.0), RATE))
    middle = float(np.median([segment.probability for segment in with_emotion(found)]))
    found = timeline.recognise(MadeNetwork(ODD), is_loud, (talk(30.0), RATE), abstain_below=middle)
    assert {segment.abstain for segment in with_emotion(found)} == {True, False}
    return msgspec.structs.replace(
        found, path="calls/a, b.wav", warnings=(Caution("damaged", "0:03 --> 0:05\n<lost>"),)
    )


def with_emotion(recognised):
    return [segment for segment in recognised.segments if segment.emotion is not None]


def display_name(segment):
    return " ".join(segment.emotion.split()) + ("?" if segment.abstain else "")


def cue_texts(recognised):
    return [f"{display_name(segment)} {segment.probability:.0%}" for segment in with_emotion(recognised)]


@pytest.fixture(params=["made_timeline", "odd"])
def any_timeline(request: pytest.FixtureRequest) -> Timeline:
    found: Timeline = request.getfixturevalue(request.param)
    assert len(with_emotion(found)) > 2
    assert len(with_emotion(found)) < len(found.segments)
    return found


def test_json_decodes_to_the_same_timeline(any_timeline):
    back = msgspec.json.decode(formats.encode(any_timeline, "json"), type=Timeline)
    assert list(back.windows) == list(any_timeline.windows)
    assert msgspec.structs.replace(back, windows=()) == msgspec.structs.replace(any_timeline, windows=())
    for name in formats.FORMATS:  # parquet's bytes too
        assert formats.encode(back, name) == formats.encode(any_timeline, name)


def test_csv_has_one_row_per_window(any_timeline):
    rows = list(csv.DictReader(io.StringIO(formats.encode(any_timeline, "csv").decode(), newline="")))
    assert len(rows) == len(any_timeline.windows)
    for row, window in zip(rows, any_timeline.windows, strict=True):
        assert row["path"] == any_timeline.path
        assert float(row["time_s"]) == pytest.approx(window.time_s, abs=1e-6)
        assert row["speech"] == ("true" if window.speech else "false")
        assert row["emotion"] == (window.emotion or "")
        for label in any_timeline.labels:
            cell = row[f"probability_{label}"]
            assert float(cell) == pytest.approx(window.probabilities[label], abs=1e-6) if window.speech else cell == ""


def test_parquet_has_one_row_per_window(any_timeline, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "t.parquet").write_bytes(formats.encode(any_timeline, "parquet"))
    read = parquet.read_table(tmp_path / "t.parquet")
    assert read.schema.metadata[b"model"] == b"made"
    warnings = msgspec.json.decode(read.schema.metadata[b"warnings"], type=tuple[Caution, ...])
    assert warnings == any_timeline.warnings
    rows = read.to_pylist()
    assert len(rows) == len(any_timeline.windows)
    for row, window in zip(rows, any_timeline.windows, strict=True):
        assert row["path"] == any_timeline.path
        assert (row["emotion"], row["probability"], row["end_s"]) == (window.emotion, window.probability, window.end_s)
        assert [row[f"probability_{label}"] for label in any_timeline.labels] == [
            window.probabilities.get(label) for label in any_timeline.labels
        ]


def test_srt_has_one_cue_per_segment_with_speech(any_timeline):
    text = formats.encode(any_timeline, "srt").decode()
    cues = list(srt.parse(text))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    assert [cue.content for cue in cues] == cue_texts(any_timeline)
    for cue, segment in zip(cues, with_emotion(any_timeline), strict=True):
        assert cue.start.total_seconds() == pytest.approx(segment.start_s, abs=6e-4)
        assert cue.end.total_seconds() == pytest.approx(segment.end_s, abs=6e-4)
    assert len(pysubs2.SSAFile.from_string(text, format_="srt")) == len(cues)


def test_vtt_has_one_cue_per_segment_with_speech(any_timeline):
    text = formats.encode(any_timeline, "vtt").decode()
    cues = list(webvtt.from_buffer(io.StringIO(text)))
    escaped = [line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in cue_texts(any_timeline)]
    assert [cue.raw_text for cue in cues] == escaped
    for cue, segment in zip(cues, with_emotion(any_timeline), strict=True):
        assert cue.start_in_seconds == pytest.approx(segment.start_s, abs=1.0)
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", cue.start)
    notes = [line for line in text.splitlines() if line.startswith("NOTE ")]
    messages = [
        caution.message.replace("\n", " ").replace("<", "&lt;").replace(">", "&gt;")
        for caution in any_timeline.warnings
    ]
    assert notes == [f"NOTE {message}" for message in messages]
    events = pysubs2.SSAFile.from_string(text, format_="vtt").events
    assert [event.start for event in events] == [round(1000 * s.start_s) for s in with_emotion(any_timeline)]


def test_textgrid_has_one_interval_per_segment(any_timeline, tmp_path):
    path = tmp_path / "t.TextGrid"
    path.write_bytes(formats.encode(any_timeline, "textgrid"))
    grid = tgt.read_textgrid(str(path), encoding="utf-8", include_empty_intervals=True)
    names = [" ".join((segment.emotion or "").split()) for segment in any_timeline.segments]
    tier = grid.get_tier_by_name("emotion")
    assert [interval.text.replace('""', '"') for interval in tier.intervals] == names
    assert tier.intervals[0].start_time == 0.0
    assert float(tier.intervals[-1].end_time) == pytest.approx(any_timeline.duration_s, abs=1e-6)
    numbers = [interval.text for interval in grid.get_tier_by_name("probability").intervals]
    assert [float(number) for number in numbers if number] == pytest.approx(
        [segment.probability for segment in with_emotion(any_timeline)], abs=5e-4
    )
    doubts = [interval.text == "yes" for interval in grid.get_tier_by_name("abstain").intervals]
    assert doubts == [segment.abstain for segment in any_timeline.segments]
    if not any("\t" in label for label in any_timeline.labels):
        other = textgrid.TextGrid.fromFile(str(path))
        assert [interval.mark for interval in other.getFirst("emotion")] == names


def test_audacity_has_one_label_per_segment_with_speech(any_timeline):
    lines = formats.encode(any_timeline, "audacity").decode().splitlines()
    for line, segment in zip(lines, with_emotion(any_timeline), strict=True):
        start, end, label = line.split("\t")
        assert (float(start), float(end)) == pytest.approx((segment.start_s, segment.end_s), abs=1e-6)
        assert label == display_name(segment)


def test_a_recording_without_speech_can_be_encoded():
    silent = timeline.recognise(MadeNetwork(), is_loud, (np.zeros(5 * RATE, np.float32), RATE))
    assert formats.encode(silent, "srt") == b""
    assert formats.encode(silent, "vtt") == b"WEBVTT\n\nNOTE no speech was found, so there is no emotion\n"
    assert formats.encode(silent, "audacity") == b""
    assert formats.encode(silent, "csv").count(b"\n") == 1 + len(silent.windows)
    assert list(webvtt.from_buffer(io.StringIO(formats.encode(silent, "vtt").decode()))) == []


def test_subtitle_times_include_hours():
    last = timeline.Segment(start_s=3599.9996, end_s=36_000.25, emotion="low", probability=0.5, abstain=False)
    long = Timeline(
        path="", model="m", model_version="0", labels=("low",), window_s=3.0, hop_s=0.5, abstain_below=0.0,
        duration_s=36_000.25,
        segments=(last,), windows=(),
    )  # fmt: skip
    assert b"01:00:00,000 --> 10:00:00,250" in formats.encode(long, "srt")


def test_formats_are_chosen_by_suffix():
    for name, known in formats.FORMATS.items():
        assert formats.format_of(Path(f"some.thing{known.suffix.upper()}")) == name
    with pytest.raises(SettingError, match="no known format suffix"):
        formats.format_of(Path("interview.doc"))
    with pytest.raises(SettingError, match="Did you mean 'json'"):
        formats.encode(None, "jsn")


def test_csv_has_no_formulas():
    formulas = ("=1+1", "+low", "-glad")
    found = timeline.recognise(MadeNetwork(formulas), is_loud, (talk(30.0), RATE))
    rows = list(csv.DictReader(io.StringIO(formats.encode(found, "csv").decode())))
    emotions = {row["emotion"] for row in rows} - {""}
    assert emotions
    assert emotions <= {f"'{label}" for label in formulas}
