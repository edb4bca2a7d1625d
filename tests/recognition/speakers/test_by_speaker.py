"""Who felt what: a made meeting whose turns and loudness are known."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import textgrid

from emocatcher import audio
from emocatcher.features import speech_gate
from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import speakers, timeline
from emocatcher.recognition.recognizer import Recognizer, load
from emocatcher.recognition.timeline import SpeakerTimeline, formats, plot, speech_s, summarise
from emocatcher.recognition.timeline.envelope import Envelope


@pytest.fixture(scope="module")
def found(network: Any, meeting: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[SpeakerTimeline, ...]:
    path = tmp_path_factory.mktemp("turns") / "meeting.rttm"
    path.write_text(meeting.rttm())
    return speakers.recognise(network, meeting.path, path, abstain_below=0.2)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("cabg")


def test_each_turn_has_the_known_answer_and_each_speaker_the_sum(found: Any, meeting: Any) -> None:
    assert [one.speaker for one in found] == ["Bob", "Ann"]  # in the order in which they first speak
    truth = dict(zip(meeting.turns, meeting.loudness, strict=True))
    for one in found:
        own = [turn for turn in meeting.turns if turn.speaker == one.speaker]
        assert [(turn.start_s, turn.end_s, turn.emotion) for turn in one.turns] == [
            (turn.start_s, turn.end_s, truth[turn]) for turn in own
        ]
        assert one.n_turns == 3
        assert one.speaking_s == pytest.approx(sum(turn.end_s - turn.start_s for turn in own))
        assert sum(one.shares.values()) == pytest.approx(1.0)
    bob = found[0]
    loud_s = sum(turn.end_s - turn.start_s for turn in bob.turns if turn.emotion == "loud")
    assert bob.shares["loud"] == pytest.approx(loud_s / bob.speaking_s)


def test_only_a_turn_of_more_than_10_s_has_shares_and_several_windows(found: Any) -> None:
    for one in found:
        for turn in one.turns:
            inside = [each for each in one.windows if turn.start_s <= each.start_s and each.end_s <= turn.end_s]
            is_long = turn.end_s - turn.start_s > 10
            assert (bool(turn.shares), len(inside) > 1) == (is_long, is_long)
            assert (inside[0].start_s, inside[-1].end_s) == (turn.start_s, turn.end_s)


def test_overlaps_are_marked_with_their_length(found: Any, meeting: Any) -> None:
    by_start = {turn.start_s: turn.overlap_s for one in found for turn in one.turns}
    shared_s = meeting.turns[2].end_s - meeting.turns[3].start_s
    assert shared_s > 0.1
    assert {start_s: overlap_s for start_s, overlap_s in by_start.items() if overlap_s} == pytest.approx(
        {5.0: shared_s, 6.0: shared_s}
    )
    assert [one.overlap_s for one in found] == pytest.approx([shared_s, shared_s])


def test_windows_and_segments_cover_the_recording_and_are_empty_between_turns(found: Any) -> None:
    for one in found:
        for parts in (one.windows, one.segments):
            edges = [(part.start_s, part.end_s) for part in parts]
            assert (edges[0][0], edges[-1][1]) == (0.0, one.duration_s)
        assert all(first.end_s == second.start_s for first, second in zip(one.segments, one.segments[1:], strict=False))
        for segment in one.segments:
            middle_s = (segment.start_s + segment.end_s) / 2
            is_inside = any(turn.start_s < middle_s < turn.end_s for turn in one.turns)
            assert (segment.emotion is not None) <= is_inside
        spoken = {label: second for label, second in speech_s(one).items() if second}
        total_s = sum(spoken.values())
        assert {label: share for label, share in one.shares.items() if share} == pytest.approx(
            {label: second / total_s for label, second in spoken.items()}
        )
        assert summarise(one).shares == pytest.approx(one.shares)


def test_a_long_turn_that_ends_between_two_frames_is_covered_to_its_end(network: Any, meeting: Any) -> None:
    (one,) = speakers.recognise(network, meeting.path, [(10.0, 23.004, "Ann")])
    for parts in (one.windows, one.segments):
        assert [part.start_s for part in parts if part.end_s >= 23.004] == [parts[-2].start_s, 23.004]
    assert len(one.windows) > 4


def test_a_turn_is_answered_as_a_recording_of_that_turn_alone(recognizer: Recognizer, meeting: Any) -> None:
    rate = recognizer.config.settings.front_end.sample_rate
    samples, _ = audio.load(meeting.path, rate)  # a cut before resampling would have other edges
    by_speaker = recognizer.timeline_by_speaker(meeting.path, meeting.turns, abstain_below=0.6)
    answers = {turn.start_s: turn for one in by_speaker for turn in one.turns}
    for place in meeting.turns:
        cut = samples[round(place.start_s * rate) : round(place.end_s * rate)]
        expected, turn = recognizer.predict((cut, rate), abstain_below=0.6), answers[place.start_s]
        assert turn.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert turn.shares == pytest.approx(expected.shares, abs=1e-9)
        assert (turn.emotion, turn.abstain) == (expected.emotion, expected.abstain)
        assert turn.voiced_start_s == pytest.approx(place.start_s + expected.voiced_start_s)
        assert [one.code for one in turn.warnings] == [one.code for one in expected.warnings]


def test_the_answers_do_not_depend_on_how_the_recording_and_the_turns_are_given(
    network: Any, meeting: Any, found: Any, tmp_path: Path
) -> None:
    as_mappings = [one._asdict() for one in meeting.turns]
    for source in (meeting.path.read_bytes(), (meeting.samples, 16_000)):
        again = speakers.recognise(network, source, as_mappings, abstain_below=0.2)
        for one, other in zip(found, again, strict=True):
            assert other.turns == one.turns
            assert other.segments == one.segments
    pipe = tmp_path / "meeting"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(meeting.path.read_bytes(),))
    writer.start()
    again = speakers.recognise(network, pipe, meeting.turns, abstain_below=0.2)
    writer.join(timeout=30)
    assert again[0].turns == found[0].turns


def test_one_channel_can_be_taken_and_emotions_restricted(recognizer: Recognizer, meeting: Any) -> None:
    stereo = (np.stack([np.zeros_like(meeting.samples), meeting.samples], axis=1), 16_000)
    turns = meeting.turns[:2]
    right = recognizer.timeline_by_speaker(stereo, turns, channels="right")
    alone = recognizer.timeline_by_speaker((meeting.samples, 16_000), turns)
    assert [one.channel for one in right] == [2, 2]
    assert formats.encode(right, "csv").startswith(b"path,channel,speaker,start_s,end_s,")
    assert [one.turns for one in right] == [one.turns for one in alone]
    kept = recognizer.only(["sad", "happy"]).timeline_by_speaker(stereo, turns)
    assert {turn.emotion for one in kept for turn in one.turns} <= {"sad", "happy"}
    with pytest.raises(SettingError, match="both divide a recording"):
        recognizer.timeline_by_speaker(stereo, turns, channels="each")
    for options in ({"window_s": 0.1}, {"hop_s": 0.0}, {"abstain_below": 2.0}, {"channels": "both"}):
        with pytest.raises(SettingError):
            recognizer.timeline_by_speaker("nowhere.wav", turns, **options)


def test_a_turn_past_the_end_is_an_error_before_anything_is_recognised(
    network: Any, meeting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [*meeting.turns, (24.0, 26.5, "Ann"), (90.0, 91.0, "Eve")]
    message = (
        "2 of 8 turns are past the end of the recording, which has 25.00 s; the first is that of 'Ann' from 24.00 to"
    )
    with pytest.raises(SettingError, match=message):
        speakers.recognise(network, meeting.path.read_bytes(), turns)
    monkeypatch.setattr(type(network), "run", lambda *_: pytest.fail("recognised"))
    with pytest.raises(SettingError, match=message):
        speakers.recognise(network, meeting.path, turns)


def test_a_turn_that_ends_a_little_late_is_cut_and_one_without_sound_left_out(network: Any, meeting: Any) -> None:
    notes: list[str] = []
    turns = [*meeting.turns, (24.5, 25.9, "Ann"), (25.1, 25.9, "Eve")]
    found = speakers.recognise(network, meeting.path, turns, on_note=notes.append)
    assert [one.speaker for one in found] == ["Bob", "Ann"]
    assert (found[1].turns[-1].start_s, found[1].turns[-1].end_s) == (24.5, 25.0)
    assert notes == ["1 of 8 turns left out, because the recording ends before"]


def test_no_interval_of_a_textgrid_is_without_length(network: Any, meeting: Any) -> None:
    samples = meeting.samples[: 16_000 * 3 + 1]  # ends at 3.0000625 s, between two microseconds
    turns = [(0.5, 3.000062, "Bob"), (2.0, 3.000062, "Ann")]
    text = formats.encode(speakers.recognise(network, (samples, 16_000), turns), "textgrid").decode()
    starts, ends = (re.findall(rf"^            {name} = (\S+)", text, re.MULTILINE) for name in ("xmin", "xmax"))
    assert len(starts) == 6
    assert all(float(start) < float(end) for start, end in zip(starts, ends, strict=True))


@pytest.mark.parametrize("length_s", [0.0006, 0.01, 0.1])
def test_the_shortest_turn_has_an_answer_or_no_speech(network: Any, meeting: Any, length_s: float) -> None:
    (one,) = speakers.recognise(network, meeting.path, [(0.8, 0.8 + length_s, "Bob")])
    assert one.turns[0].warnings
    assert one.duration_s == 25.0


def test_values_of_a_caller_that_are_no_turns_are_refused(network: Any, meeting: Any) -> None:
    for value in ((0.0, 1.0), "A B C", 5, None):
        with pytest.raises(SettingError, match=r"turn 1 is .*Give \(start_s, end_s, speaker\)"):
            speakers.recognise(network, meeting.path, [value])  # type: ignore[list-item]
    with pytest.raises(SettingError, match="speakers has no turns"):
        speakers.recognise(network, meeting.path, [])
    with pytest.raises(SettingError, match="turn 1: the end is no number: nan"):
        speakers.recognise(network, meeting.path, [(0.0, float("nan"), "A")])


# Files


def test_json_has_the_turns_and_the_sum_of_each_speaker(found: Any) -> None:
    text = formats.encode(found, "json")
    back = msgspec.json.decode(text, type=list[SpeakerTimeline])
    assert [msgspec.structs.replace(one, windows=()) for one in back] == [
        msgspec.structs.replace(one, windows=()) for one in found
    ]
    assert [list(one.windows) for one in back] == [list(one.windows) for one in found]
    for decoded, one in zip(json.loads(text), found, strict=True):
        assert {name: decoded[name] for name in ("speaker", "n_turns", "speaking_s", "overlap_s", "shares")} == {
            "speaker": one.speaker,
            "n_turns": 3,
            "speaking_s": one.speaking_s,
            "overlap_s": one.overlap_s,
            "shares": one.shares,
        }


def test_tables_have_a_row_for_each_turn_in_order_of_time(found: Any, meeting: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(formats.encode(found, "csv").decode())))
    places = [(float(row["start_s"]), float(row["end_s"]), row["speaker"]) for row in rows]
    assert places == list(meeting.turns)
    assert [row["emotion"] for row in rows] == list(meeting.loudness)
    assert [float(row["overlap_s"]) > 0 for row in rows] == [False, False, True, True, False, False]
    assert [row["share_soft"] for row in rows] == [""] * 5 + ["1.000000"]
    read = pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(formats.encode(found, "parquet"))).to_pylist()
    assert [row["speaker"] for row in read] == [turn.speaker for turn in meeting.turns]
    assert list(read[0]) == list(rows[0])


def test_a_textgrid_has_a_tier_for_each_speaker_and_one_for_overlaps(found: Any, tmp_path: Path) -> None:
    (tmp_path / "t.TextGrid").write_bytes(formats.encode(found, "textgrid"))
    grid = textgrid.TextGrid.fromFile(str(tmp_path / "t.TextGrid"))
    assert [tier.name for tier in grid.tiers] == ["Bob", "Ann", "overlap"]
    for one, tier in zip(found, grid.tiers, strict=False):
        texts = [(segment.emotion or "") + "?" * bool(segment.emotion and segment.abstain) for segment in one.segments]
        assert [mark.mark for mark in tier] == texts
    ((start_s, end_s),) = [(mark.minTime, mark.maxTime) for mark in grid.tiers[2] if mark.mark == "yes"]
    assert (start_s, end_s) == (6.0, found[0].turns[1].end_s)


@pytest.mark.parametrize(("kind", "mark"), [("srt", " --> "), ("vtt", " --> "), ("audacity", "\t")])
def test_cues_begin_with_their_speaker_in_order_of_time(found: Any, kind: str, mark: str) -> None:
    text = formats.encode(found, kind).decode()
    for one in found:
        assert text.count(f"{one.speaker}: ") >= sum(segment.emotion is not None for segment in one.segments) > 0
    starts = [re.sub("[:,.]", "", line.split(mark)[0]) for line in text.splitlines() if mark in line]
    assert starts == sorted(starts, key=int)


def test_touching_turns_of_one_emotion_have_a_cue_each(network: Any, meeting: Any) -> None:
    first = meeting.turns[0]
    halves = [(first.start_s, 1.8, "Bob"), (1.8, first.end_s, "Bob")]
    (one,) = speakers.recognise(network, meeting.path, halves)
    assert [turn.emotion for turn in one.turns] == ["loud", "loud"]
    assert formats.encode([one], "srt").decode().count("Bob: loud") == 2


def test_a_plot_names_the_speakers_and_those_who_speak_longest_of_many(
    found: Any, meeting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    envelope = Envelope()
    envelope.push(meeting.samples.astype(np.float32))
    parts = [(one, envelope) for one in found]
    text = plot.draw_channels(parts, "svg").decode()
    assert "several speakers" in text
    assert [name in text for name in (">Bob<", ">Ann<", "of 2 speakers")] == [True, True, False]
    with monkeypatch.context() as short:
        short.setattr(plot, "_ROW_S", meeting.samples.size / 16_000 / 1.9)
        text = plot.draw_channels(parts, "svg").decode()
        assert [text.count(name) for name in (">Bob<", ">Ann<")] == [2, 2], "a row without its speaker's name"
    monkeypatch.setattr(plot, "_MOST_SPEAKERS", 1)
    text = plot.draw_channels(parts, "svg").decode()
    assert [name in text for name in (">Bob<", ">Ann<", "1 of 2 speakers, who speak longest")] == [False, True, True]


def test_a_long_turn_needs_no_more_memory_than_a_timeline(network: Any, meeting: Any, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(4):
            file.write(meeting.samples)

    def peak(recognise: Callable[[], object]) -> int:
        tracemalloc.start()
        recognise()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    gate = speech_gate.has_speech_at_once
    expected = peak(lambda: timeline.recognise(network, gate, path, hop_s=3.0, threads=1))
    assert peak(lambda: speakers.recognise(network, path, [(0.0, 100.0, "Bob")], hop_s=3.0)) <= 1.1 * expected
