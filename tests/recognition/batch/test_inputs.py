"""Recordings are found from files, folders, patterns and pipes."""

import io
import os
import unicodedata

import pytest

from emocatcher.foundation.errors import AudioError, ManifestError, SettingError
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


def test_files_of_a_folder_that_are_no_recordings_are_counted(calls):
    notes = []
    (calls / "calls" / "scan.pdf").touch()
    assert "calls/scan.pdf" not in batch.expand(["calls"], notes.append)
    (note,) = notes
    assert note.startswith("calls: ")
    assert ".pdf (1)" in note


def test_hidden_files_of_a_folder_are_counted_and_not_read(calls):
    notes = []
    (calls / "calls" / "._b.wav").touch()  # as macOS writes beside b.wav
    (calls / "calls" / ".Trash").mkdir()
    (calls / "calls" / ".Trash" / "old.wav").touch()
    assert not any("._" in name or "old" in name for name in batch.expand(["calls"], notes.append))
    assert any(note.startswith("calls: 2 recordings are hidden") for note in notes)


@pytest.mark.parametrize("name", ["voice.3ga", "VOICE.3GPP", "memo.qta", "film.mts", "ring.m4r", "call.sph", "old.wmv"])
def test_recordings_of_phones_and_cameras_are_found_in_a_folder(calls, name):
    (calls / "calls" / name).touch()
    assert f"calls/{name}" in batch.expand(["calls"])


@pytest.mark.parametrize(
    ("list_name", "content"),
    [("l.txt", "~x.wav\n"), ("l.csv", "path\n~x.wav\n"), ("l.jsonl", '{"path": "~x.wav"}\n')],
)
def test_a_name_in_a_list_may_begin_with_a_tilde(calls, list_name, content):
    (calls / list_name).write_text(content)
    assert batch.expand([list_name]) == ["~x.wav"]


@pytest.mark.parametrize(
    ("list_name", "content"),
    [
        ("l.txt", "calls/ü.wav\r\n"),
        ("l.csv", "path\tnote\r\ncalls/ü.wav\tx\r\n"),
        ("l.jsonl", '{"path": "calls/ü.wav"}\n'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_list_is_read_as_windows_saves_it(calls, list_name, content, encoding):
    (calls / list_name).write_text(content, encoding=encoding, newline="")
    assert batch.expand([list_name]) == ["calls/ü.wav"]


@pytest.mark.parametrize("list_name", ["l.txt", "l.csv", "l.tsv"])
def test_a_list_from_another_computer_names_the_files_that_are_here(calls, list_name):
    here = unicodedata.normalize("NFC", "calls/deep/é.wav")
    (calls / here).touch()
    names = ["calls\\deep\\c.mp4", unicodedata.normalize("NFD", here), "calls\\gone.wav"]
    (calls / list_name).write_text("\n".join(names if list_name == "l.txt" else ["path", *names]))
    assert batch.expand([list_name]) == ["calls/deep/c.mp4", here, "calls\\gone.wav"]


def test_patterns_files_and_repeats_keep_their_order(calls):
    found = batch.expand(["calls/b.wav", "calls/**/*.mp4", "calls/b.wav", "missing.wav", "calls/[x].flac"])
    assert found == ["calls/b.wav", "calls/deep/c.mp4", "calls/b.wav", "missing.wav", "calls/[x].flac"]


def test_folders_and_patterns_without_files_are_refused(calls):
    with pytest.raises(AudioError, match="empty: is a folder without audio"):
        batch.expand(["empty"])
    with pytest.raises(SettingError, match=r"'\*\.mp3' matches no file"):
        batch.expand(["*.mp3"])


def test_a_list_names_recordings_from_its_own_folder(calls, monkeypatch):
    other = calls / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    table = "path;note\nb.wav;first\ndeep/c.mp4;\nmissing.wav;\n/abs/d.wav;\n"
    (calls / "calls" / "list.CSV").write_text(table, encoding="utf-8-sig")
    (calls / "calls" / "list.jsonl").write_text('{"path": "b.wav"}\n{"path": "deep/c.mp4", "label": "sad"}\n')
    (calls / "calls" / "list.txt").write_bytes(b"\xef\xbb\xbfb.wav\r\n\r\n[x].flac\r\n")
    found = batch.expand(["../calls/list.CSV", "x.wav", "../calls/list.jsonl", "../calls/list.txt"])
    names = ["b.wav", "deep/c.mp4", "missing.wav", "/abs/d.wav", None, "b.wav", "deep/c.mp4", "b.wav", "[x].flac"]
    assert found == ["x.wav" if name is None else f"../calls/{name}".replace("../calls//", "/") for name in names]


def test_a_parquet_table_is_a_list(calls):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"path": ["b.wav", "a.OGG"], "n": [1, 2]}), calls / "calls" / "list.parquet")
    assert batch.expand(["calls/list.parquet"]) == ["calls/b.wav", "calls/a.OGG"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("l.csv", "file,label\na.wav,sad\n", "no column 'path'.*Its columns: file, label"),
        ("l.csv", "path,start_s,end_s\na.wav,0,1.5\n", "row 2: start_s and end_s name a part"),
        ("l.csv", "path,label\na.wav,sad\n,sad\n", "row 3: the path is empty"),
        ("l.csv", "path\n", "names no recording"),
        ("l.jsonl", '{"path": "a.wav"}\n{"label": 1}\n', "no column 'path'"),
        ("l.jsonl", '{"path": "a.wav"', "row 1: not a JSON object"),
        ("l.txt", "\n\n", "names no recording"),
        ("l.parquet", "PAR1", "not a Parquet file"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(calls, name, content, problem):
    (calls / name).write_text(content)
    with pytest.raises(ManifestError, match=problem):
        batch.expand([name])


def test_only_a_list_that_is_named_is_read(calls):
    """A pattern may match notes beside the recordings; each gets a row with the error."""
    assert "calls/deep/notes.txt" in batch.expand(["calls/deep/*"])


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["gone.wav"], "^gone.wav: no such file or folder. Relative names start at the current folder, /"),
        (["calls/b.wav/x.ogg"], "^calls/b.wav/x.ogg: no such file"),
        (["gone.wav", "none.wav"], "^gone.wav: no such file or folder, nor is one under any of the other names"),
        (["calls", "gone/"], "^gone/: no such file or folder"),
        (["calls", "missing.csv"], "^missing.csv: no such file or folder"),
    ],
)
def test_a_name_under_which_nothing_is_is_refused_unless_it_is_a_recording_among_others(calls, names, problem):
    with pytest.raises(AudioError, match=problem):
        batch.expand(names)
    assert batch.expand(["calls/b.wav", "gone.wav"]) == ["calls/b.wav", "gone.wav"]
    (calls / "list.csv").write_text("path\ngone.wav\n")
    assert batch.expand(["list.csv"]) == ["gone.wav"]


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
