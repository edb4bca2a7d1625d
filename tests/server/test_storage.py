"""Uploads on a full disk, bodies that are never completed, and the folders that killed servers leave behind."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from .conftest import BOUNDARY, Server, form, is_running, serving, voice

Serve = Callable[..., AbstractContextManager[Server]]


LIMITS: dict[str, object] = {
    "spool_bytes": 100_000_000, "spool_bytes_per_client": 50_000_000, "uploads_per_client": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def full(serve: Serve) -> Iterator[Server]:
    """A server on a full disk for large files, with its access log on stdout.

    No file may be larger than half a megabyte (or one, as some shells count), which fails like a full disk.
    """
    with serve("--workers", 1, "--access-log", "-", system="ulimit -f 1000") as server:
        yield server


@pytest.fixture(scope="module")
def access_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logged") / "access.jsonl"


@pytest.fixture(scope="module")
def limited(serve: Serve, access_log: Path) -> Iterator[Server]:
    """A server with low limits for uploads, and an access log."""
    with serve("--workers", 1, "--access-log", access_log, limits=LIMITS) as server:
        yield server


def memory_bytes(server: Server) -> int:
    """The memory of the server's process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def test_a_full_disk_is_answered_with_retry_after(full: Server) -> None:
    encoded = json.dumps({"audio_base64": base64.b64encode(voice(30.0)).decode()}).encode()
    for body, kind in (
        (voice(30.0), "audio/wav"),
        (form(("a.wav", voice(30.0))), f"multipart/form-data; boundary={BOUNDARY}"),
        (encoded, "application/json"),
    ):
        answer = full.post("/v1/predict", body, kind)
        assert "cannot store uploads" in answer.problem(503, "StorageFull")
        assert int(answer.headers["retry-after"]) >= 1
    assert full.post("/v1/predict", voice(0.5)).status == 200
    assert list(full.spool.iterdir()) == []
    assert full.metric("spool_bytes") == 0
    log = full.log.read_text()
    assert log.count("Uploads cannot be stored: [Errno 27] File too large") == 1
    assert "Traceback" not in log


def test_a_folder_that_another_program_removed_is_made_again(full: Server) -> None:
    assert full.post("/v1/predict", voice(0.5)).status == 200
    shutil.rmtree(full.spool.parent)
    assert full.post("/v1/predict", voice(0.5)).status == 200
    folder = full.spool
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700


# Before the other tests of this server, because their requests are logged too.
def test_an_access_log_has_a_line_for_each_request_and_no_names(limited: Server, access_log: Path) -> None:
    rotated = access_log.with_name("rotated.jsonl")
    began = time.time()
    assert access_log.stat().st_mode & 0o777 == 0o600
    limited.post("/v1/predict?name=private.wav", voice(0.5))
    limited.post_files("/v1/predict", ("private.wav", b"no sound"))
    limited.get("/private/voice.wav")
    limited.get("/v1/listen/clips/private/audio")
    access_log.rename(rotated)
    limited.get("/healthz", Host="private.example")
    with limited.connect() as connection:
        connection.sendall(b"private\r\n\r\n")
        connection.recv(100)

    def lines() -> list[dict[str, Any]]:
        found = map(json.loads, (rotated.read_text() + access_log.read_text()).splitlines())
        return [line for line in found if line["route"] != "/readyz"]

    limited.wait_until(lambda: len(lines()) == 6)  # a line is written after its answer
    logged = lines()
    assert [(line["method"], line["route"], line["status"]) for line in logged] == [
        ("POST", "/v1/predict", 200),
        ("POST", "/v1/predict", 422),
        ("GET", "other", 404),
        ("GET", "/v1/listen/clips/{number}/audio", 404),
        ("GET", "other", 421),
        ("other", "other", 400),
    ]
    assert logged[0].keys() == logged[-1].keys()
    assert logged[0]["received_bytes"] == len(voice(0.5))
    assert 0 < logged[0]["duration_s"] < 60
    assert logged[0]["client"] == "127.0.0.1"
    assert time.strftime("%Y-%m-%dT%H:", time.gmtime(began))[:10] <= logged[0]["time"][:10]
    assert "private" not in rotated.read_text() + access_log.read_text()


def test_half_sent_json_counts_as_an_upload_and_takes_no_memory(limited: Server) -> None:
    with contextlib.ExitStack() as stack:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        piece = b'{"audio_base64": "' + b"A" * 8_000_000
        before = memory_bytes(limited)
        answers = []
        for _ in range(10):
            connection = stack.enter_context(limited.connect())
            with contextlib.suppress(ConnectionError):
                connection.sendall(head + b"Content-Length: 8100000\r\n\r\n" + piece)
            connection.settimeout(0.3)
            with contextlib.suppress(TimeoutError, ConnectionError):
                answers.append(connection.recv(1000)[:12])
        assert set(answers) == {b"HTTP/1.1 429"}
        assert len(answers) == 4
        assert 40_000_000 < limited.metric("spool_bytes") <= 50_000_000
        assert memory_bytes(limited) - before < 40_000_000


def test_json_is_answered_and_its_bytes_are_given_back(limited: Server) -> None:
    body = json.dumps({"audio_base64": base64.b64encode(voice(2.0)).decode(), "name": "a.wav"}).encode()
    body += b" " * 15_000_000  # four are more than the limit of a client
    limited.wait_until(lambda: limited.metric("spool_bytes") == 0)
    for _ in range(4):
        answer = limited.post("/v1/predict", body, "application/json")
        assert (answer.status, answer.json["path"]) == (200, "a.wav")
    limited.wait_until(lambda: limited.metric("spool_bytes") == 0)
    assert list(limited.spool.iterdir()) == []


def test_a_guess_has_a_few_bytes_only(server: Server) -> None:
    number = server.get("/v1/listen/clips").json["clips"][0]["id"]
    path = f"/v1/listen/clips/{number}/guess"
    server.post(path, b'{"emotion": "' + b"a" * 5000 + b'"}', "application/json").problem(413, "UploadTooLarge")
    with server.connect() as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"2710\r\n" + b"[" * 10_000 + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"


def folders(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.is_dir())


@pytest.fixture
def prepared(tmp_path: Path) -> list[Path]:
    """Folders named like a server's that another user could have prepared: with wrong rights, and a link."""
    precious, real = tmp_path / "precious", tmp_path / "elsewhere"
    precious.mkdir()
    real.mkdir(mode=0o700)
    found = [tmp_path / f"emocatcher-serve-{kind}" for kind in ("writable", "readable", "link")]
    for folder, mode in zip(found, (0o777, 0o755, None), strict=True):
        if mode is None:
            folder.symlink_to(real)
        else:
            folder.mkdir()
            folder.chmod(mode)
        (folder / "lock").touch()
        (folder / "sockets").symlink_to(precious)
    return found


def test_a_server_that_was_stopped_leaves_nothing_and_removes_no_folder_of_another_user(
    tmp_path: Path, prepared: list[Path]
) -> None:
    before = folders(tmp_path)
    with serving(tmp_path, "--workers", 1):
        assert [name[:5] for name in folders(tmp_path) if name not in before] == ["emoca", "pymp-"]
    assert folders(tmp_path) == before
    assert "precious" in before
    assert all((folder / "lock").exists() for folder in prepared)


@pytest.mark.slow
def test_the_last_worker_removes_everything_before_it_ends(tmp_path: Path) -> None:
    for _ in range(4):  # without waiting, it left the files behind in two of five cases
        with serving(tmp_path, "--workers", 1) as server:
            server.process.send_signal(signal.SIGSTOP)  # so that it replaces no worker
            os.kill(server.workers()[0], signal.SIGKILL)
            server.process.kill()
            server.process.wait()
            server.wait_until(lambda: folders(tmp_path) == [])
        assert folders(tmp_path) == []


def test_nothing_is_left_of_a_server_that_was_killed_nor_of_one_killed_with_its_workers(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", 1) as server:
        (server.spool / "0").write_bytes(b"a voice")
        children = server.children()
        server.process.send_signal(signal.SIGSTOP)  # so that it replaces none of them
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        server.wait_until(lambda: not any(map(is_running, children)))
        server.process.kill()
        server.process.wait()
        left = folders(tmp_path)
        assert [name[:5] for name in left] == ["emoca", "pymp-"]
        other = tmp_path / "emocatcher-serve-of-another-program"
        other.mkdir()
    with serving(tmp_path, "--workers", 1) as running:
        assert not {*left} & {*folders(tmp_path)}
        (spool,) = (tmp_path / name for name in folders(tmp_path) if name[:5] == "emoca" and name != other.name)
        second = tmp_path / "second"
        with serving(second, "--workers", 1, system=f"export TMPDIR='{tmp_path}'"):
            assert spool.exists()  # its server runs
        assert running.post("/v1/predict", voice(0.5)).status == 200
        running.process.kill()
        running.process.wait()
        running.wait_until(lambda: folders(tmp_path) == [other.name, second.name])


def test_a_temporary_folder_with_a_path_too_long_for_sockets_is_named(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 100)
    place.mkdir()
    command = [sys.executable, "-m", "emocatcher", "serve", "--port", "0"]
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=60, env={**os.environ, "TMPDIR": str(place)}
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: The temporary folder's path has {len(str(place))} bytes, which is too long")
    assert "Set TMPDIR" in done.stderr
    assert done.stderr.count("\n") == 1


def test_streams_are_logged_with_their_close_code(full: Server) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{full.port}/v1/stream") as stream:
        stream.send('{"type": "hello", "sample_rate": 8000}')
        stream.recv(20)
        stream.send(bytes(1000))
        stream.send('{"type": "finish"}')
        while json.loads(stream.recv(20))["type"] != "done":
            pass
    with connect(f"ws://127.0.0.1:{full.port}/v1/stream") as stream:
        stream.send("{")
        stream.recv(20)
    full.wait_until(lambda: full.log.read_text().count('"WEBSOCKET"') == 2)
    logged = [json.loads(line) for line in full.log.read_text().splitlines() if '"WEBSOCKET"' in line]
    assert [(line["route"], line["status"]) for line in logged] == [("/v1/stream", 1000), ("/v1/stream", 1008)]
    assert logged[0]["received_bytes"] > 1000


def test_there_is_no_access_log_by_default(server: Server) -> None:
    server.get("/healthz")
    assert "healthz" not in server.log.read_text()


def test_one_client_cannot_take_all_uploads(limited: Server) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nContent-Length: 99999\r\n\r\n"
    limited.wait_until(lambda: limited.metric("uploads") == 0)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(limited.connect()).sendall(head)
        limited.wait_until(lambda: limited.metric("uploads") == 8)
        assert "of this client" in limited.post("/v1/predict", voice(0.5)).problem(429, "Busy")
