"""Clients that hold connections, send endless heads or do not read their answers do not lock out others."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from .conftest import Server, voice

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def small(serve: Callable[..., AbstractContextManager[Server]]) -> Iterator[Server]:
    """A server with 20 connections, which closes those of clients that read nothing for a second."""
    with serve("--workers", 1, limits={"connections": 20, "unread_s": 1}) as server:
        yield server


@contextlib.contextmanager
def connected(server: Server, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.connect()) for _ in range(count)]


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def ends(connection: socket.socket, payload: bytes, seconds: float = 5.0) -> bool:
    """Send a payload again and again; return whether the server closes the connection before the time is over."""
    connection.settimeout(seconds)
    last = time.monotonic() + seconds
    try:
        while time.monotonic() < last:
            connection.sendall(payload)
    except ConnectionError:
        return True
    except TimeoutError:
        pass
    return False


def test_idle_connections_make_room_for_new_ones(small: Server) -> None:
    with connected(small, 100) as silent:
        assert small.get("/healthz").status == 200
        assert small.post("/v1/predict", voice(0.5)).status == 200
        assert received(silent[0]) == b""
        silent[-1].sendall(GET)
        assert silent[-1].recv(100).startswith(b"HTTP/1.1 200")


def test_silent_websockets_make_room_for_new_connections(small: Server) -> None:
    with connected(small, 60) as silent:
        for number, connection in enumerate(silent):
            with contextlib.suppress(ConnectionError):
                connection.sendall(UPGRADE + b"\r\n" + (frame(1, b"{") if number % 2 else b""))
        time.sleep(0.3)
        for _ in range(5):
            assert small.get("/healthz").status == 200
        assert small.post("/v1/predict", voice(0.5)).status == 200


def test_a_connection_with_a_request_is_not_closed_for_a_new_one(small: Server) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nContent-Length: 99999\r\n\r\n"
    with connected(small, 20) as busy:
        for connection in busy:
            connection.sendall(head)
        time.sleep(0.3)
        with small.connect() as one_more:
            answer = received(one_more)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        assert b'"error":"Busy"' in answer
        busy[0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            busy[0].recv(1)
    small.wait_until(lambda: small.get("/healthz").status == 200)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"x: 1\r\n" * 3000 + b"\r\n",
    ],
    ids=["address", "header", "many headers"],
)
def test_a_head_that_is_too_large_is_refused(small: Server, head: bytes) -> None:
    with small.connect() as connection:
        connection.sendall(head)
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "HeadTooLarge"


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"GET /", b"a" * 10_000),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b"a" * 10_000),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX", b"a" * 10_000),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"x: 1\r\n" * 1000),
        (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"x: 1\r\n" * 1000),
        (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: ", b"a" * 10_000),
        (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a" * 10_000),
    ],
    ids=["address", "value", "name", "headers", "trailers", "trailer", "extension"],
)
def test_an_endless_head_is_cut_off(small: Server, start: bytes, rest: bytes) -> None:
    with small.connect() as connection:
        connection.sendall(start)
        assert ends(connection, rest)
    assert small.get("/healthz").status == 200


def test_a_client_that_does_not_read_is_disconnected(small: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.connect(("127.0.0.1", small.port))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(100):  # their answers fill the system's buffers
                    connection.sendall(GET.replace(b"healthz", b"openapi.json") * 10)
        time.sleep(0.5)
        small.wait_until(lambda: small.get("/healthz").status == 200, 15)
        assert small.post("/v1/predict", voice(0.5)).status == 200


def test_requests_that_wait_on_their_connection_are_limited(small: Server) -> None:
    with small.connect() as connection:
        connection.sendall(GET * 10)
        answers = b""
        while answers.count(b"ok\n") < 10:
            answers += connection.recv(1 << 16)
        connection.sendall(GET * 5000)
        assert received(connection).count(b"ok\n") < 100


UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.mark.parametrize("headers", [b"X: 1\r\n" * 200, b"X: " + b"a" * 9000 + b"\r\n", b"X\xff: 1\r\n"])
def test_a_websocket_with_headers_that_are_not_allowed_is_answered(small: Server, headers: bytes) -> None:
    with small.connect() as connection:
        connection.settimeout(5)
        connection.sendall(UPGRADE + headers + b"\r\n")
        assert received(connection).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in small.log.read_text()


def frame(code: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A client's WebSocket frame with an empty mask (RFC 6455, 5.2)."""
    return bytes([final << 7 | code, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.parametrize(
    "flood",
    [frame(9), frame(10), frame(0, final=False), frame(2)],
    ids=["pings", "pongs", "continuations", "empty messages"],
)
def test_a_flood_of_frames_ends_its_connection(small: Server, flood: bytes) -> None:
    with small.connect() as connection:
        connection.sendall(UPGRADE + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 101 ")
        connection.sendall(frame(1, b'{"type":"hello","sample_rate":1000}'))
        connection.sendall(frame(2, final=False) if flood[0] == 0 else frame(2, b"\0\0"))
        assert ends(connection, flood * 10_000)
    began = time.monotonic()
    assert small.get("/healthz").status == 200
    assert time.monotonic() - began < 5
