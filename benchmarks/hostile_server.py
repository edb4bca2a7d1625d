"""Attack `emocatcher serve` on loopback, and count what ended as it should: `python benchmarks/hostile_server.py`.

Raw requests, held connections, streams, bodies, and kills of workers and of the server. While each kind runs, a client
asks `/healthz` and `/readyz`; the longest wait for the former is reported. The results go to benchmarks/RESULTS.md.
Every run is limited in number and time; all sockets are on loopback; the temporary files are removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import results

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))
from hostile_requests import ATTACKS, FUZZED, WEBSOCKET

from conftest import RATE, Server, children_of, serving, sound, voice

HEADING = "Hostile clients"
_N_FILES = 1024  # `ulimit -n` of the server
_ADDRESS_BYTES = 8 << 30  # of memory that the clients may use
_LIMITS: dict[str, object] = {"header_s": 3, "upload_idle_s": 1, "unread_s": 2, "recover_s": 20, "timeline_s": 5}
_CLOSE_S = 8.0  # within which an endless request must be ended


class Row(NamedTuple):
    """The outcome of one kind of attack."""

    name: str
    n_run: int
    n_right: int
    longest_s: float  # wait for /healthz meanwhile
    note: str = ""


def start(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Start a server with few open files, and stop it at the end of the `with` block."""
    return serving(folder, "--workers", 2, limits=_LIMITS, system=f"ulimit -n {_N_FILES}")


def status(server: Server, path: str) -> int:
    """Return the status of a request; 0 if there is no answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.get(path).status
    return 0


def send(server: Server, payload: bytes) -> int:
    """Send raw bytes; return the status of the answer, 0 if the server closes the connection, -1 if it hangs."""
    with server.connect() as connection:
        connection.settimeout(15)
        try:
            connection.sendall(payload)
            answer = connection.recv(4096)
        except TimeoutError:
            return -1
        except OSError:
            return 0
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def connect_hostile(server: Server) -> socket.socket:
    """Connect from another address of loopback, because a client with many connections has less than others."""
    return socket.create_connection(("127.0.0.1", server.port), 5, ("127.0.0.2", 0))


def becomes_ready(server: Server) -> bool:
    """Wait until all workers are ready; return whether they are."""
    with contextlib.suppress(AssertionError):
        server.wait_until(lambda: status(server, "/readyz") == 200, 40)
        return True
    return False


def request(method: str, path: str, body: bytes = b"", *, kind: str = "audio/wav", length: int | None = None) -> bytes:
    """Return a request, complete unless its length is given."""
    size = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


PREDICT = request("POST", "/v1/predict", voice(2.0))
SLOW = request("POST", "/v1/timeline?hop_s=0.1", voice(60.0))


@contextlib.contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """Ask /healthz again and again inside the `with` block; the list receives the waits."""
    waits, is_over = [0.0], threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            began = time.monotonic()
            found = status(server, "/healthz")
            waits.append(time.monotonic() - began if found == 200 else 99.0)
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        thread.join()


def push(server: Server, start: bytes, rest: bytes, seconds: float = _CLOSE_S) -> bool:
    """Send endlessly; return whether the server ends the connection within the time."""
    last = time.monotonic() + seconds
    with server.connect() as connection:
        connection.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            try:
                connection.sendall(start)
                while time.monotonic() < last:
                    connection.sendall(rest)
            except ConnectionError:
                return True
        with contextlib.suppress(OSError):
            connection.settimeout(max(last - time.monotonic(), 0.1))
            while piece := connection.recv(1 << 16):
                assert piece
            return True
    return False


def hold(server: Server, payload: bytes, count: int, seconds: float = 2.0) -> int:
    """Hold connections with a part of a request; return how many of 20 predictions meanwhile succeed."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):
                connection = stack.enter_context(connect_hostile(server))
                connection.settimeout(0.5)
                connection.sendall(payload)
        n_right = sum(send(server, PREDICT) == 200 for _ in range(20))
        time.sleep(seconds)
    return n_right


def frame(code: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A client's WebSocket frame with an empty mask (RFC 6455, 5.2)."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xff" + len(payload).to_bytes(8, "big")
    return bytes([final << 7 | code]) + size + bytes(4) + payload


def hello(**more: float | str) -> bytes:
    """The start of a stream."""
    return WEBSOCKET + b"\r\n" + frame(1, json.dumps({"type": "hello", "sample_rate": RATE, **more}).encode())


def streams(server: Server) -> tuple[int, int]:
    """Open a stream while others are costly; return how many of 10 streams got their windows within 5 s."""
    from websockets.sync.client import connect

    n_right, samples = 0, sound(9.0).tobytes()
    costly = hello(window_s=30, hop_s=0.1) + frame(2, samples) * 20
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect_hostile(server))
            connection.settimeout(0.2)
            with contextlib.suppress(OSError):
                connection.sendall(costly)
        for _ in range(10):
            with contextlib.suppress(Exception), connect(f"ws://127.0.0.1:{server.port}/v1/stream") as stream:
                began = time.monotonic()
                stream.send('{"type": "hello", "sample_rate": 48000}')
                stream.send(samples[: 2 * RATE * 4])
                stream.send('{"type": "finish"}')
                while json.loads(stream.recv(10))["type"] != "done":
                    pass
                n_right += time.monotonic() - began < 5
    return 10, n_right


def kill_workers(server: Server) -> tuple[int, int]:
    """Kill workers, and the process that forks them, at random moments; return how often all were ready again."""
    random, n_right = np.random.default_rng(0), 0
    for number in range(20):
        slow = threading.Thread(target=send, args=(server, SLOW))
        slow.start()
        time.sleep(random.uniform(0.0, 0.3))
        for pid in (*server.workers(), *(children_of(server.process.pid)[:1] if number % 4 == 0 else ())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        slow.join()
        n_right += becomes_ready(server) and send(server, PREDICT) == 200
    return 20, n_right


def kill_servers(folder: Path) -> Row:
    """Kill servers, some with all their processes at once; count those of which the next one leaves nothing."""
    n_right = 0
    for number in range(6):
        with start(folder) as server:
            for pid in (server.process.pid, *(server.children() if number % 2 else ())):
                os.kill(pid, signal.SIGKILL)
            server.process.wait()
        with start(folder):
            pass
        n_right += not any(path.is_dir() for path in folder.iterdir())
    return Row("servers killed, alone or with all their processes", 6, n_right, 0.0, "the next one leaves no file")


def measure(folder: Path) -> Iterator[Row]:
    """Yield each kind of attack as it completes."""
    with start(folder) as server:
        yield from attacks(server)
        yield Row("tracebacks in the log", 1, int("Traceback" not in server.log.read_text()), 0.0)
    yield kill_servers(folder)


def attacks(server: Server) -> Iterator[Row]:
    """Yield each kind of attack on a running server."""

    def row(name: str, attack: Callable[[], tuple[int, int]], note: str = "") -> Row:
        with watched(server) as waits:
            n_run, n_right = attack()
        assert becomes_ready(server), f"the server is not ready after: {name}"
        return Row(name, n_run, n_right, max(waits), note)

    def all_right(outcomes: Iterator[bool]) -> tuple[int, int]:
        found = list(outcomes)
        return len(found), sum(found)

    yield row("raw requests", lambda: all_right(send(server, one.payload) in one.right for one in ATTACKS))
    yield row("headers with odd values", lambda: all_right(0 <= send(server, one) < 500 for one in FUZZED))
    post = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    text, headers = b"a" * 10_000, b"x: 1\r\n" * 999
    endless = [(b"GET /", text), (b"GET / HTTP/1.1\r\nX: ", text), (b"GET / HTTP/1.1\r\n", headers)]
    endless += [(post + b"1;", text), (post + b"0\r\n", headers)]
    yield row("endless heads and trailers", lambda: all_right(push(server, *one) for one in endless * 4))
    floods = [(hello(), one * 10_000) for one in (frame(9), frame(10), frame(2))]
    floods.append((hello() + frame(2, final=False), frame(0, final=False) * 10_000))
    yield row("floods of small frames", lambda: all_right(push(server, *one) for one in floods * 3))
    megabytes = b'"' * (8 << 20)
    held = {
        "1,100 idle connections": (b"", 1100),
        "1,100 half-sent heads": (b"GET /healthz HTTP/1.1\r\nHost: lo", 1100),
        "1,100 silent WebSockets": (WEBSOCKET + b"\r\n", 1100),
        "200 half-sent recordings of 1 MB": (request("POST", "/v1/predict", megabytes[: 1 << 20], length=1 << 27), 200),
        "100 half-sent JSON bodies of 8 MB": (
            request("POST", "/v1/predict", megabytes, kind="application/json", length=9 << 20),
            100,
        ),
        "60 clients that read no answer": (request("GET", "/openapi.json") * 300, 60),
    }
    for name, (payload, count) in held.items():
        note = "predictions of others meanwhile"
        yield row(name, lambda payload=payload, count=count: (20, hold(server, payload, count)), note)
    yield row("streams beside 20 costly ones", lambda: streams(server), "windows within 5 s")
    yield row("workers killed, and the process that forks them", lambda: kill_workers(server), "all ready again")


def main() -> None:
    """Measure, then print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print-only", action="store_true", help="do not rewrite RESULTS.md")
    arguments = parser.parse_args()
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder)):
            wait = f"{row.longest_s:.2f} s" if row.longest_s else ""
            cells.append((row.name, f"{row.n_run:,}", f"{row.n_right:,}", wait, row.note))
            print(" | ".join(cells[-1]), flush=True)
    header = ("attack", "number", "ended as it should", "longest wait for `/healthz`", "")
    text = (
        f"`python benchmarks/hostile_server.py` on {results.software()}, with `ulimit -n {_N_FILES}`; the clients ran "
        f"on the same cores, and the load average at the end was {os.getloadavg()[0]:.1f}.\n\n"
        + results.table(header, cells)
    )
    if not arguments.print_only:
        results.rewrite(HEADING, text)


if __name__ == "__main__":
    main()
