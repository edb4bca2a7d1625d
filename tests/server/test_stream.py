"""`WS /v1/stream`: the windows equal those of a file for chunks of any size, and the limits hold."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from socket import SHUT_RDWR
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import emocatcher
from emocatcher.recognition.timeline import Window

from .conftest import RATE, Server, same_window, sound, streamed

HELLO: dict[str, Any] = {"type": "hello", "sample_rate": RATE, "encoding": "pcm16"}


def opened(server: Server, **options: Any) -> AbstractContextManager[ClientConnection]:
    address = f"ws://127.0.0.1:{server.port}/v1/stream"
    return connect(address, compression=None, ping_interval=None, **options)


def send(socket: ClientConnection, message: dict[str, Any]) -> None:
    socket.send(json.dumps(message))


def receive(socket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(socket.recv(20)))


@contextlib.contextmanager
def greeted(server: Server, **more: Any) -> Iterator[ClientConnection]:
    with opened(server) as socket:
        send(socket, HELLO | more)
        assert receive(socket)["type"] == "ready"
        yield socket


def windows_of(server: Server, samples: np.ndarray, sizes: Sequence[int], **hello: Any) -> tuple[list[Window], float]:
    """Send samples in chunks of these sizes in bytes, repeated as often as needed."""
    import msgspec

    payload, found = samples.tobytes(), []
    with greeted(server, **hello) as socket:
        start = n_sent = 0
        while start < len(payload):
            socket.send(payload[start : start + sizes[n_sent % len(sizes)]])
            start, n_sent = start + sizes[n_sent % len(sizes)], n_sent + 1
        send(socket, {"type": "finish"})
        while (message := receive(socket))["type"] == "window":
            message.pop("type")
            found.append(msgspec.convert(message, Window))
        assert message["type"] == "done", message
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
    return found, message["duration_s"]


def refused(socket: ClientConnection) -> tuple[str, str, int]:
    """Receive the error; return its kind, its detail and the close code."""
    while (message := receive(socket))["type"] != "error":
        pass
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(20)
    assert closed.value.rcvd is not None
    assert message["title"]
    return message["error"], message["detail"], closed.value.rcvd.code


@pytest.fixture(scope="module")
def local_windows() -> Sequence[Window]:
    return streamed(emocatcher.load(), sound(8.3), 2.0, 0.3)


@pytest.mark.parametrize(
    ("encoding", "sizes"),
    [("pcm16", [2, 9_602, 4, 200_000, 1_234]), ("float32", [48_004, 4, 8, 19_200]), ("pcm16", [96_000])],
)
def test_a_stream_gives_the_windows_of_a_file(
    server: Server, local_windows: Sequence[Window], encoding: str, sizes: list[int]
) -> None:
    samples = sound(8.3)
    sent = samples if encoding == "pcm16" else (samples / 32_768).astype("<f4")
    theirs, duration_s = windows_of(server, sent, sizes, encoding=encoding, window_s=2.0, hop_s=0.3)
    assert duration_s == pytest.approx(8.3, abs=1e-3)
    assert len(theirs) == len(local_windows) > 15
    assert all(map(same_window, theirs, local_windows))


def test_windows_are_sent_before_the_sound_ends(server: Server) -> None:
    with greeted(server) as socket:
        socket.send(sound(8.3)[: 4 * RATE].tobytes())
        first = receive(socket)
        assert (first["type"], first["start_s"], first["end_s"]) == ("window", 0.0, 3.0)
        assert first.keys() == {"type", *Window.__struct_fields__}


def test_the_ready_message_contains_labels_window_and_hop(server: Server) -> None:
    with opened(server) as socket:
        send(socket, HELLO | {"hop_s": 1})
        ready = receive(socket)
        assert (ready["window_s"], ready["hop_s"]) == (3.0, 1.0)
        assert ready["labels"] == server.get("/v1/model").json["labels"]
    with opened(server) as socket:
        send(socket, HELLO | {"emotions": ["SAD", "anger"]})
        assert receive(socket)["labels"] == ["sad", "angry"]


@pytest.mark.parametrize(
    ("message", "error", "code"),
    [
        (b"\0\0", "BadMessage", 1008),
        ("hello", "BadMessage", 1008),
        ("{}", "BadMessage", 1008),
        ('{"type": "finish"}', "BadMessage", 1008),
        ('{"type": "hello"}', "BadMessage", 1008),
        (json.dumps(HELLO | {"sample_rate": 10}), "BadMessage", 1008),
        (json.dumps(HELLO | {"sample_rate": 1e9}), "BadMessage", 1008),
        (json.dumps(HELLO | {"sample_rate": "48000"}), "BadMessage", 1008),
        (json.dumps(HELLO | {"encoding": "mp3"}), "BadMessage", 1008),
        (json.dumps(HELLO | {"abstain_below": 2}), "BadMessage", 1008),
        (json.dumps(HELLO | {"abstain": 0.5}), "BadMessage", 1008),
        (json.dumps(HELLO | {"window_s": 0}), "SettingError", 1008),
        (json.dumps(HELLO | {"hop_s": 9}), "SettingError", 1008),
        (json.dumps(HELLO | {"hop_s": 1e-9}), "SettingError", 1008),
        (json.dumps(HELLO | {"window_s": 600, "hop_s": 0.012}), "SettingError", 1008),
        (json.dumps(HELLO | {"window_s": 600}), "SettingError", 1008),
        (json.dumps(HELLO | {"token": "?"}).replace("?", r"\ud800"), "BadMessage", 1008),
    ],
)
def test_an_invalid_hello_message_is_refused(server: Server, message: str | bytes, error: str, code: int) -> None:
    with opened(server) as socket:
        socket.send(message)
        reply = refused(socket)
    assert (reply[0], reply[2]) == (error, code), reply


@pytest.mark.parametrize(
    ("encoding", "message", "error", "code"),
    [
        ("pcm16", b"\0\0\0", "SettingError", 1008),
        ("float32", np.array([np.nan], "<f4").tobytes(), "NonFiniteError", 1008),
        ("float32", np.array([1e30], "<f4").tobytes(), "AudioError", 1008),
        ("pcm16", b"\0" * (2 * RATE * 11), "TooLongError", 1009),
        ("pcm16", '{"type": "stop"}', "BadMessage", 1008),
    ],
)
def test_an_invalid_message_ends_the_stream(
    server: Server, encoding: str, message: str | bytes, error: str, code: int
) -> None:
    with greeted(server, encoding=encoding) as socket:
        socket.send(message)
        reply = refused(socket)
    assert (reply[0], reply[2]) == (error, code), reply
    server.wait_until(lambda: server.metric("streams") == 0)


def test_a_message_of_five_megabytes_is_too_big(server: Server) -> None:
    with greeted(server) as socket:
        # Only the header of a frame of five megabytes (RFC 6455, 5.2): payload that the server does not read could
        # reset the connection before its close message is received.
        socket.socket.sendall(b"\x82\xff" + (5 << 20).to_bytes(8, "big") + bytes(4))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    server.wait_until(lambda: server.metric("streams") == 0)


def test_the_stream_of_a_disconnected_client_is_removed(server: Server) -> None:
    with greeted(server) as socket:
        socket.send(sound(8.3).tobytes()[:19_200])
        assert server.metric("streams") == 1
        socket.socket.shutdown(SHUT_RDWR)
    server.wait_until(lambda: server.metric("streams") == 0)


def test_a_page_of_another_origin_cannot_connect(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refusal, opened(server, origin="https://elsewhere.example"):
        pass
    assert refusal.value.response.status_code == 403
    with opened(server, origin=f"http://127.0.0.1:{server.port}") as socket:
        send(socket, HELLO)
        assert receive(socket)["type"] == "ready"


def test_many_streams_are_processed_concurrently(server: Server) -> None:
    ends = []
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(greeted(server, hop_s=1.0)) for _ in range(12)]
        for start in range(0, 4 * RATE, RATE // 2):
            for socket in sockets:
                socket.send(sound(8.3)[start : start + RATE // 2].tobytes())
        for socket in sockets:
            send(socket, {"type": "finish"})
        for socket in sockets:
            while (message := receive(socket))["type"] == "window":
                ends.append(message["end_s"])
    assert sorted(ends) == [3.0] * 12 + [4.0] * 12


def test_streams_with_costly_windows_do_not_delay_others(server: Server) -> None:
    second = sound(1.0).tobytes()
    with contextlib.ExitStack() as stack:
        costly = [stack.enter_context(greeted(server, window_s=10.0)) for _ in range(6)]
        for socket in costly:
            socket.send(second * 10)
            socket.send(second * 9)
        assert [receive(socket)["end_s"] for socket in costly] == [10.0] * 6
        with greeted(server) as socket:
            for start in range(0, round(4.2 * RATE), RATE // 2):
                socket.send(sound(8.3)[start : start + RATE // 2].tobytes())
            assert [receive(socket)["end_s"] for _ in range(3)] == [3.0, 3.5, 4.0]
        # Each of its 9 messages waits for one costly window: not for those of a whole message, nor of every stream.
        assert sum(map(_n_received, costly)) < 30
        for socket in costly:
            socket.socket.shutdown(SHUT_RDWR)
    server.wait_until(lambda: server.metric("streams") == 0, 30)
    assert server.metric("worker_deaths") == 0


def _n_received(socket: ClientConnection) -> int:
    """Read the windows that were received, and count them."""
    n = 0
    with contextlib.suppress(TimeoutError):
        while socket.recv(0):
            n += 1
    return n


def test_silent_sockets_take_no_slots(serve: Callable[..., AbstractContextManager[Server]]) -> None:
    with (
        serve("--workers", 1, "--token", "secret", limits={"streams": 8, "streams_per_client": 4}) as server,
        contextlib.ExitStack() as stack,
    ):
        silent = [stack.enter_context(opened(server)) for _ in range(30)]
        assert server.metric("streams") == 0
        assert refused(silent[0])[::2] == ("Idle", 1001)  # it made room for the others
        wrong = stack.enter_context(opened(server))
        send(wrong, HELLO | {"token": "wrong"})
        assert refused(wrong)[::2] == ("Unauthorized", 1008)
        for _ in range(4):
            stack.enter_context(greeted(server, token="secret"))
        one_more = stack.enter_context(opened(server))
        send(one_more, HELLO | {"token": "secret"})
        error, detail, code = refused(one_more)
        assert (error, code) == ("Busy", 1013)
        assert "4 streams are open" in detail
        assert "one client" in detail


def test_streams_are_limited_idle_ones_are_closed_and_a_token_is_required(
    serve: Callable[..., AbstractContextManager[Server]],
) -> None:
    limits: dict[str, object] = {"streams": 2, "stream_idle_s": 1}
    with serve("--workers", 1, "--token", "secret", limits=limits) as server:
        with opened(server) as socket:
            send(socket, HELLO)
            assert refused(socket)[::2] == ("Unauthorized", 1008)
        with greeted(server, token="secret") as one, greeted(server, token="secret") as two:
            with opened(server) as third:
                send(third, HELLO | {"token": "secret"})
                error, detail, code = refused(third)
                assert (error, code) == ("Busy", 1013)
                assert "2 streams" in detail
            began = time.monotonic()
            while time.monotonic() < began + 1.5:  # only one of them sends sound
                one.send(sound(8.3)[:4800].tobytes())
                time.sleep(0.1)
            assert refused(two)[::2] == ("Idle", 1001)
            send(one, {"type": "finish"})
            kinds = [receive(one)["type"] for _ in range(2)]
            assert kinds[-1] in {"done", "window"}
        server.wait_until(lambda: server.metric("streams") == 0)
        with greeted(server, token="secret"):
            pass
