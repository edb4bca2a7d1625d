"""Recordings become vectors: in Python, in tables that can be resumed, and in their formats."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher.foundation.errors import AudioError, NoSpeechError, OutputError, SettingError, TooLongError
from emocatcher.recognition import embedding_tables
from emocatcher.recognition.embedding_tables import file_formats
from emocatcher.recognition.embedding_tables.journal import Row
from emocatcher.recognition.recognizer import Recognizer

KINDS = ["parquet", *(pytest.param(kind, marks=pytest.mark.slow) for kind in file_formats.FORMATS[1:])]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return emocatcher.load("cabg")  # small, and embeds as the others


@pytest.fixture(scope="module")
def clips(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of two seconds, and a file that is none."""
    folder = tmp_path_factory.mktemp("clips")
    for source in sorted(voices_dir.rglob("*.wav"))[:60:20]:
        shutil.copy(source, folder / source.name)
    (folder / "broken.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture
def names(clips: Path) -> list[str]:
    return [str(path) for path in sorted(clips.iterdir())]


def sound(path: str) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 16_000
    return samples


def table_of(path: Path, kind: str) -> tuple[list[Row], list[np.ndarray | None]]:
    rows, vectors = zip(*file_formats.read(path, kind), strict=True)
    return list(rows), list(vectors)


def test_a_recording_has_a_vector_of_32_bit_numbers(recognizer: Recognizer, names: list[str]) -> None:
    vector = recognizer.embed(names[0])
    assert (vector.shape, vector.dtype) == ((128,), np.float32)
    assert np.array_equal(vector, recognizer.embed(Path(names[0]).read_bytes()))
    assert np.array_equal(vector, recognizer.only(["happy", "sad"]).embed(names[0]))


def test_each_channel_has_the_vector_of_its_sound(recognizer: Recognizer, names: list[str]) -> None:
    left, right = sound(names[0]), sound(names[1])
    n = min(len(left), len(right))
    stereo = np.stack([left[:n], right[:n]], axis=1), 16_000
    assert np.array_equal(recognizer.embed(stereo, channels="right"), recognizer.embed((right[:n], 16_000)))


@pytest.mark.slow
def test_a_long_recording_has_the_mean_of_its_windows(recognizer: Recognizer, names: list[str]) -> None:
    # Windows of 3 s begin where these do, so that each has the vector of its own sound.
    parts = [np.resize(sound(name), 3 * 16_000) for name in names[:2]]
    silence = np.zeros(3 * 16_000, np.float32)
    long = np.concatenate([parts[0], silence, parts[1], silence])
    # A window's last frame reaches into the next window, so the vectors agree only nearly.
    expected = np.mean([recognizer.embed((part, 16_000)) for part in parts], axis=0)
    found = recognizer.embed((long, 16_000))
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    with pytest.raises(TooLongError):
        recognizer.embed((long, 16_000), longest_s=11.0)


@pytest.mark.parametrize("n_seconds", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_a_recording_without_speech_is_an_error(recognizer: Recognizer, n_seconds: int) -> None:
    with pytest.raises(NoSpeechError, match="no speech was found"):
        recognizer.embed((np.zeros(n_seconds * 16_000, np.float32), 16_000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_a_row_for_each_recording_also_for_failures(
    recognizer: Recognizer, names: list[str], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"table.{kind}"
    done = embedding_tables.embed_batch(recognizer, names, out, kind=kind)
    assert (done.n, done.n_failed) == (4, 1)
    rows, vectors = table_of(out, kind)
    assert [row.path for row in rows] == names
    for row, vector in zip(rows, vectors, strict=True):
        if row.path.endswith("broken.wav"):
            assert (row.error, vector, row.duration_s) == ("DecodeError", None, None)
            assert "no sound" not in str(row.message)
        else:
            assert vector is not None
            assert np.array_equal(vector, recognizer.embed(row.path))
            assert row.duration_s == pytest.approx(len(sound(row.path)) / 16_000, abs=0.01)
    assert {path.name for path in tmp_path.iterdir()} == {out.name}  # no journal is left


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_table_is_resumed_and_equals_an_uninterrupted_one(
    recognizer: Recognizer, names: list[str], tmp_path: Path, kind: str
) -> None:
    whole, out = tmp_path / f"whole.{kind}", tmp_path / f"table.{kind}"
    embedding_tables.embed_batch(recognizer, names, whole, kind=kind)

    def stop(done: Any) -> None:
        if done.n == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        embedding_tables.embed_batch(recognizer, names, out, kind=kind, on_row=stop)
    assert len(table_of(out, kind)[0]) == 2  # what is done can be read
    journal = tmp_path / f".table.{kind}.journal"
    with journal.open("ab") as file:
        file.write(journal.read_bytes().split(b"\n")[1] + b"\ncut off")  # as by a kill
    with pytest.raises(OutputError, match="is unfinished: give --resume"):
        embedding_tables.embed_batch(recognizer, names, out, kind=kind)
    seen: list[int] = []
    embedding_tables.embed_batch(
        recognizer, names, out, kind=kind, resume=True, on_row=lambda done: seen.append(done.n)
    )
    assert seen == [3, 4]
    rows, vectors = table_of(out, kind)
    assert rows == table_of(whole, kind)[0]
    for one, other in zip(vectors, table_of(whole, kind)[1], strict=True):
        assert np.array_equal(one, other) if one is not None else other is None
    assert not journal.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", file_formats.FORMATS)
def test_new_recordings_are_added_to_a_finished_table(
    recognizer: Recognizer, names: list[str], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"table.{kind}"
    embedding_tables.embed_batch(recognizer, names[:2], out, kind=kind)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists: give --overwrite"):
        embedding_tables.embed_batch(recognizer, names, out, kind=kind)
    with pytest.raises(OutputError, match="1 recordings that are not among the inputs"):
        embedding_tables.embed_batch(recognizer, names[1:], out, kind=kind, resume=True)
    with pytest.raises(OutputError, match="has embeddings of cabg"):
        embedding_tables.embed_batch(emocatcher.load("emocatcher-2"), names, out, kind=kind, resume=True)
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {out.name}  # nothing was begun
    embedding_tables.embed_batch(recognizer, names[:2], out, kind=kind, resume=True)
    assert out.read_bytes() == before
    embedding_tables.embed_batch(recognizer, names, out, kind=kind, resume=True)
    assert [row.path for row in table_of(out, kind)[0]] == names


@pytest.mark.slow
def test_each_channel_has_a_row(recognizer: Recognizer, names: list[str], tmp_path: Path) -> None:
    n = 16_000
    soundfile.write(tmp_path / "call.wav", np.stack([sound(names[0])[:n], sound(names[1])[:n]], axis=1), 16_000)
    out = tmp_path / "calls.npz"
    embedding_tables.embed_batch(recognizer, [str(tmp_path / "call.wav")], out, kind="npz", channels="each")
    rows, vectors = table_of(out, "npz")
    assert [row.channel for row in rows] == [1, 2]
    assert not np.array_equal(vectors[0], vectors[1])


@pytest.mark.slow
def test_a_table_of_another_kind_is_refused_and_kept(recognizer: Recognizer, names: list[str], tmp_path: Path) -> None:
    for kind in file_formats.FORMATS:
        out = tmp_path / f"table.{kind}"
        out.write_bytes(b"path,emotion\na.wav,happy\n")
        with pytest.raises(OutputError, match="is not a table of embeddings"):
            embedding_tables.embed_batch(recognizer, names, out, kind=kind, resume=True)
        assert out.read_bytes() == b"path,emotion\na.wav,happy\n"


def test_a_format_is_named_by_the_suffix() -> None:
    assert embedding_tables.format_of(None, Path("a.NPZ")) == "npz"
    with pytest.raises(SettingError, match=r"End it in \.parquet, \.npz or \.csv"):
        embedding_tables.format_of(None, Path("a.json"))


def test_texts_that_a_spreadsheet_would_run_come_back_as_they_are(tmp_path: Path) -> None:
    row = Row(path="=1+1.wav", error="DecodeError", message="-x", model="m", model_version="1")
    vector = np.array([-1.5e-7, 2.25], np.float32)
    given = [(row, None), (msgspec.structs.replace(row, error=None, message=None, duration_s=1.5), vector)]

    def rows() -> Iterator[Any]:
        yield from given

    file_formats.write(tmp_path / "a.csv", "csv", rows, 2)
    assert list(csv.reader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))[1][0] == "'=1+1.wav"
    found, vectors = table_of(tmp_path / "a.csv", "csv")
    assert found == [one for one, _ in given]
    assert vectors[0] is None
    assert np.array_equal(vectors[1], vector)


@pytest.mark.slow
def test_the_command_embeds_a_folder_in_processes(clips: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    out = tmp_path / "clips.parquet"
    command = [sys.executable, "-m", "emocatcher", "embed", str(clips), "--out", str(out), "--workers", "2"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stderr
    assert "1 of 4 recordings failed" in run.stderr
    rows, vectors = table_of(out, "parquet")
    recognizer = emocatcher.load()
    for row, vector in zip(rows, vectors, strict=True):
        if row.error is None:
            assert np.array_equal(vector, recognizer.embed(row.path))
            assert vector.shape == (2304,)
    with pytest.raises(AudioError):
        recognizer.embed(str(clips / "broken.wav"))
