"""Requests beyond the limits are refused with 413, 429 or 408, and the server keeps running."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from emocatcher.foundation.errors import SettingError
from emocatcher.server import limits

from .conftest import Answer, Server, form, voice

LIMITS: dict[str, object] = {
    "upload_bytes": 400_000,
    "json_bytes": 300_000,
    "recordings": 3,
    "utterance_s": 3,
    "recording_s": 4,
    "queue": 2,
    "header_s": 1,
    "upload_idle_s": 1,
    "predict_s": 20,
}


@pytest.fixture(scope="module")
def tight(serve: Callable[..., AbstractContextManager[Server]]) -> Iterator[Server]:
    """A server with low limits."""
    with serve("--workers", 1, limits=LIMITS) as server:
        yield server


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def read_all(connection: object) -> bytes:
    received = b""
    while piece := connection.recv(65_536):  # type: ignore[attr-defined]
        received += piece
    return received


def test_a_body_that_is_too_large_is_refused(tight: Server) -> None:
    tight.post("/v1/predict", voice(4.5)).problem(413, "UploadTooLarge")
    assert "300000" in tight.post("/v1/predict", b" " * 300_001, "application/json").problem(413, "UploadTooLarge")
    assert tight.post("/v1/predict", voice(2.0)).status == 200


def test_a_body_that_is_too_large_without_content_length_is_refused(tight: Server) -> None:
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with tight.connect() as connection:
        connection.sendall(head + chunked(*[b"\0" * 50_000] * 9))
        assert connection.recv(20).startswith(b"HTTP/1.1 413")
    assert list(tight.spool.iterdir()) == []


def test_a_client_that_expects_100_continue_is_refused_before_it_sends_the_body(tight: Server) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nExpect: 100-continue\r\n"
    with tight.connect() as connection:
        connection.sendall(head + b"Content-Length: 400001\r\n\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 413")
    with tight.connect() as connection:
        connection.sendall(head + b"Content-Length: 5\r\n\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 100")


def test_too_many_recordings_are_refused(tight: Server) -> None:
    files = [("a.wav", voice(0.5))] * 4
    tight.post_files("/v1/predict", *files).problem(413, "TooManyRecordings")
    assert len(tight.post_files("/v1/predict", *files[:3]).json) == 3
    one = {"audio_base64": base64.b64encode(b"x").decode()}
    body = json.dumps({"recordings": [one] * 4}).encode()
    tight.post("/v1/predict", body, "application/json").problem(413, "TooManyRecordings")


def test_a_recording_that_is_too_long_is_refused(tight: Server) -> None:
    assert "longer than 3 s" in tight.post("/v1/predict", voice(3.5)).problem(413, "TooLongError")
    assert tight.post("/v1/timeline", voice(3.5)).status == 200
    assert "longer than 4 s" in tight.post("/v1/timeline", voice(4.1)).problem(413, "TooLongError")


def test_a_full_queue_is_answered_with_retry_after(tight: Server) -> None:
    answers: list[Answer] = []

    def send() -> None:
        answers.extend(tight.post("/v1/predict", voice(2.0)) for _ in range(8))

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status != 200]
    assert 0 < len(refused) < len(answers) == 128
    for answer in refused:
        answer.problem(429, "Busy")
        assert int(answer.headers["retry-after"]) >= 1
    assert tight.post("/v1/predict", voice(2.0)).status == 200
    assert tight.metric("queue") == 0


def test_slow_clients_are_disconnected_while_others_are_served(tight: Server) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nContent-Length: 50000\r\n\r\n"
    began = time.monotonic()
    with tight.connect() as in_body, tight.connect() as in_head, tight.connect() as silent:
        in_body.sendall(head + b"RIFF")
        in_head.sendall(head[:40])
        for _ in range(12):
            time.sleep(0.25)
            for connection, byte in ((in_body, b"\0"), (in_head, b"x")):
                with suppress(OSError):  # already disconnected
                    connection.sendall(byte)
            assert tight.post("/v1/predict", voice(0.5)).status == 200
        answer = in_body.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"UploadTooSlow" in answer
        for connection in (in_head, silent):
            with suppress(ConnectionResetError):
                assert connection.recv(100) == b""
    assert time.monotonic() - began < 20
    assert tight.metric("uploads") == 0
    assert list(tight.spool.iterdir()) == []


def test_a_slow_upload_above_the_least_rate_is_accepted(tight: Server) -> None:
    body = form(("a.wav", voice(0.5)))
    head = (
        "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=a-line-between\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with tight.connect() as connection:
        connection.sendall(head.encode())
        for start in range(0, len(body), 6_000):
            time.sleep(0.2)
            connection.sendall(body[start : start + 6_000])
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_nothing_is_left_of_a_client_that_disconnects(tight: Server) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nContent-Length: 90000\r\n\r\n"
    for _ in range(20):
        with tight.connect() as connection:
            connection.sendall(head + voice()[:20_000])
    tight.wait_until(lambda: tight.metric("uploads") == 0 and tight.metric("spool_bytes") == 0)
    tight.wait_until(lambda: list(tight.spool.iterdir()) == [])
    for _ in range(5):  # during recognition
        with tight.connect() as connection:
            connection.sendall(head.replace(b"90000", b"%d" % len(voice())) + voice())
    tight.wait_until(lambda: tight.metric("uploads") == 0 and list(tight.spool.iterdir()) == [])
    assert tight.post("/v1/predict", voice()).status == 200
    assert tight.process.poll() is None


def test_limits_are_parsed_and_invalid_ones_refused() -> None:
    assert limits.parse(["queue=8", "utterance_s=2.5"]).utterance_s == 2.5
    with pytest.raises(SettingError, match="Did you mean 'queue'"):
        limits.parse(["qeue=8"])
    for wrong in ("queue=0", "queue=many", "predict_s=-1", "utterance_s=601", "queue"):
        with pytest.raises(SettingError):
            limits.parse([wrong])


def test_only_the_servers_user_can_read_the_uploads(tight: Server) -> None:
    assert Path(tight.spool).stat().st_mode & 0o777 == 0o700
