import errno
import hashlib
import http.server
import io
import re
import socket
import sys
import threading
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from emocatcher.corpora import download, places, ravdess
from emocatcher.foundation.errors import DownloadError, HashMismatchError, MissingExtraError

CHUNK = download._CHUNK
IDS = ravdess.clip_ids(2)[:3] + ravdess.clip_ids(2)[-3:]


def make_archive(names) -> bytes:
    noise = np.random.default_rng(0)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, noise.bytes(100_000))
    return content.getvalue()


ARCHIVE = make_archive(f"Actor_{id_[-2:]}/{id_}.wav" for id_ in IDS)


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` on loopback; each request applies the next of `faults`, later ones succeed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = ARCHIVE
        self.supports_ranges = True
        self.faults: list[Callable[[Handler], bool]] = []
        self.ranges: list[str | None] = []  # the Range of every request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/speech.zip?download=1"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    stop_after: int | None = None

    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers["Range"])
        if self.server.faults and self.server.faults.pop(0)(self):
            return
        content, start = self.server.content, 0
        if self.server.supports_ranges and self.headers["Range"]:
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.stop_after])


def breaks_after(n_bytes: int) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        handler.stop_after = n_bytes
        return False

    return fault


def closes(handler: Handler) -> bool:
    return True


def answers(status: int) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        handler.send_error(status)
        return True

    return fault


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSES_S", (0.0, 0.01, 0.02))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "shelf" / "ravdess"


def fetch(server, target, **changes):
    arguments = {"url": server.url, "md5": hashlib.md5(ARCHIVE).hexdigest(), "size": len(ARCHIVE)} | changes
    return download.fetch_ravdess(target, **arguments)


def part_of(target):
    return target.with_name("ravdess.zip.part")


def assert_whole(target):
    assert [u.id for u in ravdess.read(target)] == list(IDS)
    assert list(target.parent.iterdir()) == [target], "temporary files were left next to the corpus"


def assert_absent(target):
    assert not target.exists()
    assert [path for path in target.parent.glob("*") if path != part_of(target)] == []
    assert list(target.parent.glob(".*")) == []


def test_the_published_archive_is_the_default():
    assert (download.RAVDESS_SIZE, download.RAVDESS_MD5) == (208_468_073, "bc696df654c87fed845eb13823edef8a")
    assert download.RAVDESS_URL.startswith("https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip")


def test_fetch_downloads_and_unpacks_the_whole_archive(server, target):
    seen = []
    assert fetch(server, target, on_progress=lambda here, size: seen.append((here, size))) == target
    assert_whole(target)
    assert seen[-1] == (len(ARCHIVE), len(ARCHIVE))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


def test_the_default_folder_is_in_the_cache_where_load_finds_it(server):
    assert fetch(server, None) == places.corpus_dir("ravdess") == places.find_corpus("ravdess")


def test_an_existing_corpus_is_not_fetched_again(server, target):
    target.mkdir(parents=True)
    (target / f"{IDS[0]}.flac").touch()
    part_of(target).touch()
    assert fetch(server, target) == target
    assert server.ranges == []
    assert not part_of(target).exists()


def test_an_interrupted_transfer_resumes_where_it_stopped(server, target):
    server.faults = [breaks_after(12 * CHUNK), closes, answers(503), breaks_after(9 * CHUNK + 5)]
    fetch(server, target)
    assert_whole(target)
    first, *later = (int(r[6:-1]) if r else 0 for r in server.ranges)
    assert first == 0
    assert later == [12 * CHUNK, 12 * CHUNK, 12 * CHUNK, 21 * CHUNK]


def test_a_transfer_is_retried_as_long_as_each_attempt_makes_progress(server, target):
    server.faults = [breaks_after(60_000)] * 9
    fetch(server, target)
    assert_whole(target)


def test_fetch_gives_up_without_progress_and_a_later_call_resumes(server, target):
    server.faults = [breaks_after(16 * CHUNK), closes, closes, closes, closes]
    with pytest.raises(DownloadError, match=rf"4 times at {16 * CHUNK:,} of .* it resumes there"):
        fetch(server, target)
    assert_absent(target)
    assert part_of(target).stat().st_size == 16 * CHUNK
    server.faults, server.ranges = [], []
    fetch(server, target)
    assert_whole(target)
    assert server.ranges == [f"bytes={16 * CHUNK}-"]


def test_a_transfer_restarts_if_the_server_does_not_support_ranges(server, target):
    server.supports_ranges = False
    server.faults = [breaks_after(200_000)]
    fetch(server, target)
    assert_whole(target)


def test_a_transfer_restarts_if_the_server_sends_another_range(server, target):
    def sends_the_beginning(handler):
        if not handler.headers["Range"]:
            return False
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(ARCHIVE) - 1}/{len(ARCHIVE)}")
        handler.end_headers()
        handler.wfile.write(ARCHIVE)
        return True

    server.faults = [breaks_after(200_000), *[sends_the_beginning] * 9]
    fetch(server, target)
    assert_whole(target)


def test_a_transfer_restarts_if_the_part_is_too_long(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * (len(ARCHIVE) + 1))
    fetch(server, target)
    assert_whole(target)
    assert server.ranges == [None]


def test_a_complete_part_is_unpacked_without_network(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(ARCHIVE)
    fetch(server, target)
    assert_whole(target)
    assert server.ranges == []


@pytest.mark.parametrize("extra", [b"", b"and more"], ids=["same size", "longer"])
def test_wrong_bytes_are_never_unpacked(server, target, monkeypatch, extra):
    monkeypatch.setattr(download, "_unpack", lambda *arguments: pytest.fail("unpacked"))
    server.content = bytes([ARCHIVE[0] ^ 1]) + ARCHIVE[1:] + extra
    with pytest.raises(HashMismatchError, match=hashlib.md5(ARCHIVE).hexdigest()):
        fetch(server, target)
    assert_absent(target)
    assert not part_of(target).exists()


def test_a_stale_part_fails_one_call_only(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    with pytest.raises(HashMismatchError, match="Run the command again"):
        fetch(server, target)
    fetch(server, target)
    assert_whole(target)


def test_a_file_that_is_too_short_is_refused_after_some_attempts(server, target):
    server.content = b"<html>Please log in</html>"
    with pytest.raises(DownloadError, match="was interrupted"):
        fetch(server, target)
    assert_absent(target)


@pytest.mark.parametrize(("status", "n_requests"), [(404, 1), (403, 1), (500, 4), (429, 4)])
def test_retryable_statuses_are_retried_and_others_fail_at_once(server, target, status, n_requests):
    server.faults = [answers(status)] * 9
    with pytest.raises(DownloadError, match=str(status)) as caught:
        fetch(server, target)
    assert "\n" not in str(caught.value)
    assert len(server.ranges) == n_requests
    assert_absent(target)


def test_a_missing_network_is_reported_at_once_in_one_line(target, monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: pytest.fail("fetch waited"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    target.parent.mkdir()
    part_of(target).write_bytes(ARCHIVE[:1000])
    with socket.socket() as closed:  # bound but not listening, so the connection is refused
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/speech.zip"
        with pytest.raises(DownloadError, match=r"^No connection to 127\.0\.0\.1\. [^\n]*$"):
            download.fetch_ravdess(target, url=url, size=len(ARCHIVE))
    assert part_of(target).stat().st_size == 1000


@pytest.mark.parametrize(
    "name", ["../outside.wav", "/outside.wav", "a/../../outside.wav", "..\\outside.wav", "C:x.wav"]
)
def test_names_that_lead_outside_are_refused(server, target, name):
    server.content = make_archive([f"Actor_01/{IDS[0]}.wav", name])
    with pytest.raises(DownloadError, match="outside its folder"):
        fetch(server, target, md5=hashlib.md5(server.content).hexdigest(), size=len(server.content))
    assert_absent(target)


def test_a_link_is_refused(server, target):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        link = zipfile.ZipInfo("Actor_01")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/")
    server.content = content.getvalue()
    with pytest.raises(DownloadError, match="outside its folder"):
        fetch(server, target, md5=hashlib.md5(server.content).hexdigest(), size=len(server.content))
    assert_absent(target)


def test_a_file_that_is_not_an_archive_is_refused(server, target):
    server.content = b"not a zip" * 100
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        fetch(server, target, md5=hashlib.md5(server.content).hexdigest(), size=len(server.content))
    assert_absent(target)


def test_an_interruption_while_unpacking_leaves_no_partial_corpus(server, target, monkeypatch):
    extract, done = zipfile.ZipFile.extract, []

    def extract_two(self, member, folder):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(extract(self, member, folder))

    monkeypatch.setattr(zipfile.ZipFile, "extract", extract_two)
    with pytest.raises(KeyboardInterrupt):
        fetch(server, target)
    assert len(done) == 2
    assert_absent(target)
    monkeypatch.undo()
    fetch(server, target)
    assert_whole(target)
    assert len(server.ranges) == 1, "the archive was downloaded again"


def test_a_full_disk_is_reported_before_the_download(server, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage(1, 1, 2 * len(ARCHIVE)))
    with pytest.raises(DownloadError, match=r"MB of free space, but .* MB are needed"):
        fetch(server, target)
    assert server.ranges == []


def test_a_disk_that_fills_while_unpacking_is_reported(server, target, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", fail)
    with pytest.raises(DownloadError, match="No space left on device"):
        fetch(server, target)
    assert_absent(target)


def test_a_folder_with_other_files_is_refused_and_not_changed(server, target):
    target.mkdir(parents=True)
    (target / "thesis.txt").write_text("mine")
    with pytest.raises(DownloadError, match="contains other files"):
        fetch(server, target)
    assert server.ranges == []
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(server, target):
    target.mkdir(parents=True)
    fetch(server, target)
    assert_whole(target)


@pytest.mark.parametrize("package", ["pooch", "requests"])
def test_a_missing_extra_is_named(target, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match="train"):
        download.fetch_ravdess(target)
