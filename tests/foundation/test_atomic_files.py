import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher.foundation import atomic_files

TENSORS = {"rows": np.arange(12, dtype=np.float32).reshape(4, 3), "lengths": np.array([1, 3]), "none": np.empty((0, 3))}
META = {"ids": ["ä", "b"], "n": 2, "nothing": None}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def fail(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 5000])
def test_bytes_are_kept_and_folders_are_created(tmp_path, payload):
    path = tmp_path / "deep" / "er" / "file.bin"
    atomic_files.write_bytes(path, payload)
    assert path.read_bytes() == payload
    atomic_files.write_bytes(path, payload + b"!")
    assert path.read_bytes() == payload + b"!"
    assert names_in(path.parent) == ["file.bin"]


def test_text_is_utf_8(tmp_path):
    atomic_files.write_text(tmp_path / "a.txt", "Gefühl\n")
    assert (tmp_path / "a.txt").read_bytes() == b"Gef\xc3\xbchl\n"


@pytest.mark.parametrize("target", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "kill"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, target, stop, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def interrupt(*_, **__):
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr(target, interrupt)
        with pytest.raises(type(stop)):
            atomic_files.write_bytes(path, b"new")
    assert (path.read_bytes() if old else None) == old
    assert names_in(tmp_path) == (["file"] if old else [])


def test_a_reader_during_the_write_sees_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_files.write_bytes(path, b"old")
    seen = []
    fsync = os.fsync

    def look(descriptor):
        seen.append((path.read_bytes(), len(names_in(tmp_path))))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    atomic_files.write_bytes(path, b"new")
    assert seen == [(b"old", 2)]
    assert path.read_bytes() == b"new"


def test_a_path_that_cannot_be_written_raises_os_error(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "below", tmp_path / "folder"):
        with pytest.raises(OSError, match=r"file|folder"):
            atomic_files.write_bytes(path, b"new")
    assert names_in(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix", reason="locks exist on POSIX only")
def test_what_a_killed_process_left_is_removed_but_not_what_another_is_writing(tmp_path):
    write = (
        "import os, signal, sys, pathlib\n"
        "from emocatcher.foundation import atomic_files\n"
        "with atomic_files.replacing(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); print(flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    path, other = tmp_path / "[a]*.bin", tmp_path / ".[a]*.bin.notes"
    other.write_bytes(b"of the user")
    start = [sys.executable, "-c", write, str(path)]
    with (
        subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed,
        subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as slow,
    ):
        killed.stdout.readline(), slow.stdout.readline()
        killed.kill()
        killed.wait()
        assert len(names_in(tmp_path)) == 3
        for left in tmp_path.glob(".*"):  # as if some time had passed
            deadline = time.monotonic() + 10
            while time.time() - left.stat().st_ctime < 1.1 and time.monotonic() < deadline:
                time.sleep(0.05)
        atomic_files.write_bytes(path, b"new")
        assert path.read_bytes() == b"new"
        assert len(names_in(tmp_path)) == 3  # the new file, the other one, and that of the process that is writing
        slow.communicate(b"\n")
        assert slow.returncode == 0
    assert path.read_bytes() == b"half"
    assert names_in(tmp_path) == sorted([path.name, other.name])


@pytest.mark.skipif(os.name != "posix", reason="permissions exist on POSIX only")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        atomic_files.write_bytes(tmp_path / "ours", b"")
        (tmp_path / "plain").write_bytes(b"")
        assert os.umask(umask) == umask  # the umask itself is unchanged
    finally:
        os.umask(before)
    ours, plain = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain"))
    assert ours == plain


def test_tensors_are_kept_bit_for_bit(tmp_path):
    path = tmp_path / "features.safetensors"
    atomic_files.write_tensors(path, TENSORS, META)
    tensors, meta = atomic_files.read_tensors(path)
    assert meta == META
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(tensor, TENSORS[name])


def test_views_and_nan_are_kept(tmp_path):
    path = tmp_path / "a"
    odd = {"transposed": np.arange(6.0).reshape(2, 3).T, "step": np.arange(9)[::2], "nan": np.array([np.nan, -0.0])}
    atomic_files.write_tensors(path, odd, None)
    tensors, meta = atomic_files.read_tensors(path)
    assert meta is None
    for name, tensor in odd.items():
        np.testing.assert_array_equal(tensors[name], tensor)
    assert np.signbit(tensors["nan"][1])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_wrong_byte_anywhere_is_detected(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "one-wrong-byte"
    atomic_files.write_tensors(path, TENSORS, META)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    wrong = bytearray(whole)
    wrong[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(wrong)
    found = atomic_files.read_tensors(path)
    if found is not None:  # a byte without meaning, such as a blank in the header's padding
        assert found[1] == META
        assert all(np.array_equal(found[0][name], TENSORS[name]) for name in TENSORS)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.binary(max_size=20))
def test_reading_a_truncated_file_returns_none(tmp_path_factory, length, tail):
    path = tmp_path_factory.getbasetemp() / "truncated"
    atomic_files.write_tensors(path, TENSORS, META)
    whole = path.read_bytes()
    truncated = whole[: length % len(whole)] + tail
    path.write_bytes(truncated)
    assert (atomic_files.read_tensors(path) is None) == (truncated != whole)


@pytest.mark.parametrize(
    "payload", [b"", b"\0" * 100, b"garbage" * 99, b"\xff" * 8 + b"{}", b"\x02" + b"\0" * 7 + b"{}"]
)
def test_reading_garbage_returns_none(tmp_path, payload):
    (tmp_path / "garbage").write_bytes(payload)
    assert atomic_files.read_tensors(tmp_path / "garbage") is None


def test_reading_absent_files_folders_and_other_safetensors_returns_none(tmp_path):
    from safetensors.numpy import save

    (tmp_path / "other").write_bytes(save({"a": np.zeros(3)}))
    (tmp_path / "half").write_bytes(save({"a": np.zeros(3)}, metadata={"meta": "{}"}))
    for path in (tmp_path / "absent", tmp_path, tmp_path / "other", tmp_path / "half"):
        assert atomic_files.read_tensors(path) is None


def test_a_failed_write_of_tensors_leaves_the_old_ones(tmp_path, monkeypatch):
    path = tmp_path / "a"
    atomic_files.write_tensors(path, TENSORS, META)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        atomic_files.write_tensors(path, {"rows": np.zeros(3)}, "new")
    assert atomic_files.read_tensors(path)[1] == META
    assert names_in(tmp_path) == ["a"]
