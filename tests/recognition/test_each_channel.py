"""Each channel of a call is recognised as if it were a recording of its own."""

import csv
import io
import itertools
import json
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
import soundfile
import textgrid
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.foundation.errors import AudioError, OutputError, SettingError
from emocatcher.recognition import batch
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.recognizer import Recognizer, load
from emocatcher.recognition.timeline import formats, plot
from emocatcher.recognition.timeline.envelope import Envelope

RATE = 48_000
KINDS = ("jsonl", "csv", "json", "parquet")
Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("cabg")


@pytest.fixture(scope="module")
def persons(voices_dir: Path) -> tuple[Samples, Samples]:
    """A loud person and a quiet one, who speaks later."""
    paths = sorted(voices_dir.rglob("*.wav"))
    first, second = (audio.load(path, RATE)[0] for path in (paths[3], paths[70]))
    still = np.zeros(len(first), np.float32)
    return np.concatenate([first, still]), np.concatenate([still, 0.2 * second[: len(first)]])


@pytest.fixture(scope="module")
def call(persons: tuple[Samples, Samples]) -> Samples:
    return np.stack(persons, axis=1)


@pytest.fixture(scope="module")
def calls(call: Samples, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Calls in files, between them one recording with a single channel, and one that does not exist."""
    folder = tmp_path_factory.mktemp("calls")
    names = [str(folder / name) for name in ("a.wav", "mono.wav", "missing.wav", "b.wav", "c.wav")]
    for name in names:
        if "missing" not in name:
            soundfile.write(name, call[:, 0] if "mono" in name else call, RATE)
    return names


def encode(path: Path, call: Samples) -> None:
    if path.suffix in (".wav", ".mp3"):
        soundfile.write(path, call, RATE)
        return
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac" if path.suffix == ".m4a" else "libopus", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(call.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, "stereo", RATE, stream.codec_context.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", [".wav", ".opus", ".mp3", ".m4a"])
def test_a_channel_of_any_format_is_answered_as_that_channel_in_a_file_of_its_own(
    recognizer: Recognizer, call: Samples, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"call{suffix}"
    encode(path, call)
    samples = np.concatenate(list(audio.blocks(path, channel=0))), np.concatenate(list(audio.blocks(path, channel=1)))
    assert audio.count_channels(path) == 2
    found = recognizer.predict_each(path)
    assert [one.channel for one in found] == [1, 2]
    for one, alone in zip(found, samples, strict=True):
        expected = recognizer.predict((alone, RATE))
        assert one.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert found == (recognizer.predict(path, channels="left"), recognizer.predict(path, channels="right"))
    assert found[1] == recognizer.predict(path, channels=2) == recognizer.predict(path, channels="2")
    assert found[0].probabilities != pytest.approx(found[1].probabilities, abs=0.01)


def test_the_peak_and_the_clipping_are_those_of_the_channel(persons: tuple[Samples, Samples]) -> None:
    loud = np.clip(persons[0] * np.float32(30.0), -1.0, 1.0)
    source = (np.stack([loud, persons[1]], axis=1), RATE)
    assert audio.read(source).clipped
    left, right = (audio.read(source, channel=channel) for channel in (0, 1))
    assert (left.peak, left.clipped, right.clipped) == (1.0, True, False)
    assert right.peak == pytest.approx(float(np.abs(persons[1]).max()))


@pytest.mark.parametrize(("channels", "missing"), [("right", 2), (3, 3), ("2", 2)])
def test_a_channel_that_is_not_there_is_an_error_that_names_what_is(
    recognizer: Recognizer, call: Samples, channels: Any, missing: int
) -> None:
    samples = call if missing == 3 else call[:, 0]
    has = "2 channels" if missing == 3 else "1 channel"
    for recognise in (recognizer.predict, recognizer.timeline):
        with pytest.raises(AudioError, match=f"has {has}, so there is no channel {missing}. Give"):
            recognise((samples, RATE), channels=channels)


@pytest.mark.parametrize("channels", ["both", "0", 0, -1, "", "1.5"])
def test_an_unknown_choice_is_refused_before_anything_is_read(recognizer: Recognizer, channels: Any) -> None:
    for recognise in (recognizer.predict, recognizer.timeline, recognizer.predict_many):
        with pytest.raises(SettingError, match="Give mix, left, right, each"):
            recognise("nowhere.wav", channels=channels)
    with pytest.raises(SettingError, match="predict_each"):
        recognizer.predict("nowhere.wav", channels="each")


def test_the_mix_of_several_persons_has_a_warning_and_their_channels_have_none(
    recognizer: Recognizer, call: Samples
) -> None:
    found = {one.code: one.message for one in recognizer.predict((call, RATE)).warnings}
    assert found["channels-differ"].startswith("channels 1 and 2 have sound of their own")
    assert "channels-differ" in [one.code for one in recognizer.timeline((call, RATE)).warnings]
    for one in recognizer.predict_each((call, RATE)):
        assert "channels-differ" not in [caution.code for caution in one.warnings]


def test_many_recordings_have_their_channels_together_and_one_failure(recognizer: Recognizer, calls: list[str]) -> None:
    expected = [(calls[0], 1), (calls[0], 2), (calls[1], 1), (calls[2], None), (calls[3], 1), (calls[3], 2)]
    found = list(recognizer.predict_many(calls[:4], channels="each"))
    assert [(one.path, getattr(one, "channel", None)) for one in found] == expected
    assert [isinstance(one, Failure) for one in found] == [False, False, False, True, False, False]
    lacking = list(recognizer.predict_many(calls[:2], channels="right"))
    assert isinstance(lacking[0], Prediction)
    assert isinstance(lacking[1], Failure)
    assert "no channel 2" in lacking[1].message


def test_a_pipe_is_read_once_for_all_its_channels(recognizer: Recognizer, calls: list[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = Path(calls[0]).read_bytes()
    for recognise in (recognizer.predict_each, recognizer.timeline_each):
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        found: Any = recognise(pipe)
        writer.join(timeout=30)
        assert [(one.path, one.channel) for one in found] == [(str(pipe), 1), (str(pipe), 2)]


def test_a_timeline_of_a_channel_equals_that_of_the_channel_alone(recognizer: Recognizer, call: Samples) -> None:
    found = recognizer.timeline_each((call, RATE), 2.0, hop_s=1.0)
    for i, one in enumerate(found):
        alone = recognizer.timeline((call[:, i], RATE), 2.0, 1.0)
        assert msgspec.structs.replace(one, channel=None, windows=list(one.windows)) == msgspec.structs.replace(
            alone, windows=list(alone.windows)
        )


def test_a_channel_of_a_long_recording_needs_no_more_memory(call: Samples, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for _ in range(50):
            file.write(call)

    def peak(channel: int | None) -> int:
        tracemalloc.start()
        n = sum(len(block) for block in audio.blocks(path, 16_000, channel=channel))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert n > 10 * 16_000
        return most

    peak(None)
    assert peak(1) <= 1.05 * peak(None)


def test_channels_that_end_midway_go_on_as_the_average() -> None:
    stereo = np.stack([np.full(40, 0.5, np.float32), np.full(40, -0.25, np.float32)], axis=1)
    track: Any = _Blocks([np.repeat(stereo, 1_000, axis=0), np.full((40_000, 1), 0.125, np.float32)])
    found = np.concatenate([one.mono for one in audio.sections.Sections(track, channel=1)])
    assert found.tolist() == [-0.25] * 40_000 + [0.125] * 40_000


class _Blocks:
    rate, name, divisor = 1_000, "made", 1.0

    def __init__(self, blocks: list[Samples]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Samples]:
        return iter(self._blocks)


# Tables


def write(recognizer: Recognizer, inputs: list[str], out: Path, **options: Any) -> batch.Done:
    kind = batch.format_of(None, out)
    return batch.run(recognizer, inputs, kind=kind, out=out, stream=io.BytesIO(), **options)


def table(path: Path) -> list[tuple[str, int | None]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            found: list[Any] = list(csv.DictReader(file))
    elif path.suffix == ".parquet":
        found = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    else:
        text = path.read_text()
        found = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    return [(row["path"], int(row["channel"]) if row.get("channel") else None) for row in found]


class Interrupted(Exception):  # noqa: N818
    """Simulates a kill."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_is_interrupted_after_any_recording_is_resumed_by_path_and_channel(
    recognizer: Recognizer, calls: list[str], tmp_path: Path, kind: str
) -> None:
    whole = tmp_path / f"whole.{kind}"
    done = write(recognizer, calls, whole, channels="each")
    channels = [(1, 2), (1,), (None,), (1, 2), (1, 2)]
    expected = [(path, number) for path, numbers in zip(calls, channels, strict=True) for number in numbers]
    assert (done.n, done.n_failed, table(whole)) == (5, 1, expected)
    out = tmp_path / f"out.{kind}"
    for n_before, resume in ((1, False), (3, True)):

        def stop(done: batch.Done, _: object, n: int = n_before) -> None:
            if done.n > n:
                raise Interrupted

        with pytest.raises(Interrupted):
            write(recognizer, calls, out, channels="each", resume=resume, on_row=stop)
    with pytest.raises(OutputError, match="started with channels = each, and this is mix"):
        write(recognizer, calls, out, resume=True)
    done = write(recognizer, calls, out, channels="each", resume=True)
    assert (done.n, done.n_before, done.n_failed) == (5, 4, 1)
    assert out.read_bytes() == whole.read_bytes() if kind != "parquet" else table(out) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_table_gets_the_rows_of_new_calls_and_of_repaired_ones(
    recognizer: Recognizer, calls: list[str], tmp_path: Path, kind: str
) -> None:
    out, late = tmp_path / f"out.{kind}", tmp_path / "late.wav"
    inputs = [calls[0], str(late), calls[1]]
    write(recognizer, inputs, out, channels="each")
    late.write_bytes(Path(calls[0]).read_bytes())
    done = write(recognizer, [*inputs, calls[3]], out, channels="each", resume=True, retry_failed=True)
    assert (done.n, done.n_failed) == (4, 0)
    assert table(out) == list(
        itertools.chain([(calls[0], 1), (calls[0], 2), (calls[1], 1)], [(str(late), 1), (str(late), 2)],
                        [(calls[3], 1), (calls[3], 2)])
    )  # fmt: skip


@pytest.mark.parametrize("before", ["mix", "each", "left", "2"])
def test_a_finished_table_of_other_channels_is_not_resumed(
    recognizer: Recognizer, calls: list[str], tmp_path: Path, before: str
) -> None:
    out = tmp_path / "out.csv"
    write(recognizer, calls[:1], out, channels=before)
    for now in {"mix", "each", "1", "right"} - {{"left": "1", "2": "right"}.get(before, before)}:
        with pytest.raises(OutputError, match=f"other channels than {now}"):
            write(recognizer, [calls[0], calls[3]], out, channels=now, resume=True)
    assert write(recognizer, [calls[0], calls[3]], out, channels=before, resume=True).n == 2


# Files of timelines


@pytest.fixture(scope="module")
def timelines(recognizer: Recognizer, call: Samples) -> Any:
    found = recognizer.timeline_each((np.tile(call, (2, 1)), RATE))
    assert all(any(segment.emotion for segment in one.segments) for one in found)
    return found


def test_a_textgrid_has_the_tiers_of_each_channel(timelines: Any, tmp_path: Path) -> None:
    (tmp_path / "t.TextGrid").write_bytes(formats.encode(timelines, "textgrid"))
    found = textgrid.TextGrid.fromFile(str(tmp_path / "t.TextGrid"))
    kinds = ("emotion", "probability", "abstain")
    assert [tier.name for tier in found.tiers] == [f"{kind} {channel}" for channel in (1, 2) for kind in kinds]
    for one, tier in zip(timelines, (found.tiers[0], found.tiers[3]), strict=True):
        assert [mark.mark for mark in tier] == [segment.emotion or "" for segment in one.segments]


def test_json_is_a_list_and_tables_have_a_column(timelines: Any) -> None:
    decoded = json.loads(formats.encode(timelines, "json"))
    assert decoded == [json.loads(formats.encode(one, "json")) for one in timelines]
    assert [one["channel"] for one in decoded] == [1, 2]
    rows = list(csv.DictReader(io.StringIO(formats.encode(timelines, "csv").decode())))
    assert [row["channel"] for row in rows] == [str(one.channel) for one in timelines for _ in one.windows]
    parquet = pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(formats.encode(timelines, "parquet")))
    assert parquet["channel"].to_pylist() == [one.channel for one in timelines for _ in one.windows]
    assert parquet["time_s"].to_pylist() == [window.time_s for one in timelines for window in one.windows]


@pytest.mark.parametrize(("kind", "count"), [("srt", r" --> "), ("vtt", r" --> "), ("audacity", "\t")])
def test_cues_and_labels_begin_with_their_channel_in_order_of_time(timelines: Any, kind: str, count: str) -> None:
    text = formats.encode(timelines, kind).decode()
    for one in timelines:
        n = sum(segment.emotion is not None for segment in one.segments)
        assert text.count(f"channel {one.channel}: ") == n
    starts = [line.split(count)[0] for line in text.splitlines() if count in line]
    assert starts == sorted(starts, key=lambda start: float(start.replace(":", "").replace(",", ".")))


def test_a_plot_shows_every_channel(timelines: Any, call: Samples) -> None:
    pytest.importorskip("matplotlib")
    parts = []
    for i, one in enumerate(timelines):
        envelope = Envelope()
        envelope.push(call[:, i])
        parts.append((one, envelope))
    text = plot.draw_channels(parts, "svg").decode()
    assert "channel 1" in text
    assert "channel 2" in text
    size: Callable[[str], float] = lambda svg: float(svg.partition('height="')[2].partition("pt")[0])  # noqa: E731
    assert size(text) > size(plot.draw(*parts[0], "svg").decode())
