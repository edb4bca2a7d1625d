"""Recordings are found from files, folders, patterns and pipes."""

import io
import os

import pytest

from emocatcher.foundation.errors import AudioError, SettingError
from emocatcher.recognition import batch


@pytest.fixture
def calls(tmp_path, monkeypatch):
    for name in ("b.wav", "a.OGG", "deep/c.mp4", "deep/notes.txt", "[x].flac"):
        (tmp_path / "calls" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "calls" / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_searched_recursively(calls):
    assert batch.expand(["calls"]) == ["calls/[x].flac", "calls/a.OGG", "calls/b.wav", "calls/deep/c.mp4"]


def test_patterns_files_and_repeats_keep_their_order(calls):
    found = batch.expand(["calls/b.wav", "calls/**/*.mp4", "calls/b.wav", "missing.wav", "calls/[x].flac"])
    assert found == ["calls/b.wav", "calls/deep/c.mp4", "calls/b.wav", "missing.wav", "calls/[x].flac"]


def test_folders_and_patterns_without_files_are_refused(calls):
    with pytest.raises(AudioError, match="empty: is a folder without audio"):
        batch.expand(["empty"])
    with pytest.raises(SettingError, match=r"'\*\.mp3' matches no file"):
        batch.expand(["*.mp3"])


def test_a_folder_that_cannot_be_opened_keeps_its_place(calls, monkeypatch):
    """Permissions do not stop root, so the refusal is simulated."""
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    (calls / "locked").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    found = batch.expand([str(calls)])
    assert str(calls / "locked") in found
    assert len(found) == 5


def test_a_recording_in_the_pipe_is_refused():
    with pytest.raises(SettingError, match="not a list of names"):
        list(batch.lines(io.BytesIO(b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\n\x01")))


def test_names_from_a_pipe_are_unchanged():
    odd = b"\xff\xfe.wav"
    assert list(batch.lines(io.BytesIO(b"a.wav\r\n" + odd + b"\n\nlast"))) == ["a.wav", os.fsdecode(odd), "last"]
    assert list(batch.lines(io.BytesIO(b"two\nlines.wav\0b.wav\0"), null=True)) == ["two\nlines.wav", "b.wav"]


def test_names_may_arrive_in_small_pieces():
    class Drops(io.BytesIO):
        def read1(self, size=-1):
            return super().read(3)

    assert list(batch.lines(Drops(b"first.wav\nsecond.wav\n"))) == ["first.wav", "second.wav"]
