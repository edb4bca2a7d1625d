"""Pipes as recordings, and the durations that headers declare."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.audio import sources
from emocatcher.audio.decoding import declared_duration_s
from emocatcher.foundation.errors import DecodeError, EmptyAudioError

RATE = 16_000
SOUND = (0.3 * np.sin(np.arange(2 * RATE) / 9)).astype(np.float32)

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def encoded(kind="WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND, RATE, format=kind)
    return buffer.getvalue()


@pytest.fixture
def pipe(tmp_path):
    """A function that returns the path of a pipe into which another thread writes the content."""
    writers = []

    def write(path, content):
        with path.open("wb") as file:
            file.write(content)

    def make(content, name="pipe"):
        path = tmp_path / name
        os.mkfifo(path)
        writers.append(threading.Thread(target=write, args=(path, content), daemon=True))
        writers[-1].start()
        return path

    yield make
    for writer in writers:
        writer.join(timeout=10)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_pipe_is_read_like_a_file(pipe, kind):
    np.testing.assert_array_equal(audio.load(pipe(encoded(kind)))[0], audio.load(encoded(kind))[0])


def test_standard_input_is_read_by_its_path():
    script = "from emocatcher import audio; print(len(audio.load('/dev/stdin')[0]))"
    run = subprocess.run([sys.executable, "-c", script], input=encoded(), capture_output=True, check=True, timeout=60)
    assert int(run.stdout) == len(SOUND)


def test_a_pipe_without_content_is_refused(pipe):
    with pytest.raises(EmptyAudioError, match="pipe that sent nothing"):
        audio.load(pipe(b""))


def test_a_pipe_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "_LONGEST_PIPE", 1 << 22)
    with pytest.raises(DecodeError, match="Save it to a file"):
        audio.load("/dev/zero")


def test_the_duration_of_a_pipe_is_unknown_and_asking_does_not_consume_it(pipe):
    path = pipe(encoded())
    assert declared_duration_s(path) is None
    assert len(audio.load(path)[0]) == len(SOUND)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_the_declared_duration_is_that_of_the_header(tmp_path, kind, capfd):
    path = tmp_path / "clip"
    path.write_bytes(encoded(kind))
    assert declared_duration_s(path) == pytest.approx(2.0, abs=0.15)
    path.write_bytes(encoded(kind)[:30])
    assert declared_duration_s(path) is None
    assert capfd.readouterr().err == ""
