"""Raw requests of hostile clients get an answer that is no fault, and the server keeps answering others."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from emocatcher.foundation.errors import SettingError
from emocatcher.server.problems import ProblemError
from emocatcher.server.security import Hosts

from .conftest import Server, voice
from .hostile_requests import ATTACKS, FUZZED, Attack


@pytest.fixture(scope="module")
def attacked(serve: Callable[..., AbstractContextManager[Server]]) -> Iterator[Server]:
    """A server that gives slow clients little time, with another name."""
    limits: dict[str, object] = {"header_s": 2, "upload_idle_s": 0.5}
    names = ("--cors", "https://page.example", "--allow-host", "voice.example.org")
    with serve("--workers", 1, *names, limits=limits) as server:
        yield server


def status(server: Server, payload: bytes) -> int:
    """Send a request, and return the answer's status; 0 if there is none."""
    with server.connect() as connection, contextlib.suppress(ConnectionError):
        connection.settimeout(10)
        connection.sendall(payload)
        answer = b""
        while len(answer) < 12 and (piece := connection.recv(4096)):
            answer += piece
        assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) or not answer, answer
        return int(answer[9:12] or 0)
    return 0


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_gets_the_right_answer(attacked: Server, attack: Attack) -> None:
    assert status(attacked, attack.payload) in attack.right


def test_no_header_causes_a_fault(attacked: Server) -> None:
    counts: Counter[int] = Counter()
    for payload in FUZZED:
        found = status(attacked, payload)
        assert found < 500, payload
        counts[found] += 1
    assert counts[200] > 200
    assert counts[400] > 100
    assert attacked.post("/v1/predict", voice(0.5)).status == 200
    log = attacked.log.read_text()
    assert "Traceback" not in log
    assert "Exception" not in log


def test_only_the_servers_own_names_are_served(attacked: Server) -> None:
    for host in ("localhost", "127.0.0.1:99", f"[::1]:{attacked.port}", "Voice.Example.Org:443"):
        assert attacked.get("/v1/model", Host=host).status == 200
    detail = attacked.get("/v1/model", Host="evil.example").problem(421, "UnknownHost")
    assert "--allow-host evil.example" in detail
    attacked.post("/v1/predict", voice(0.5), Host="evil.example").problem(421, "UnknownHost")
    attacked.get("/", Host="evil.example").problem(421, "UnknownHost")
    with (
        pytest.raises(InvalidStatus) as refusal,
        socket.create_connection(("127.0.0.1", attacked.port)) as sock,
        connect(f"ws://evil.example:{attacked.port}/v1/stream", sock=sock),
    ):
        pass
    assert refusal.value.response.status_code == 421


@pytest.mark.parametrize(
    ("bound", "more", "host", "served"),
    [
        ("127.0.0.1", (), "192.0.2.1", False),
        ("0.0.0.0", (), "192.0.2.1:8000", True),
        ("::", (), "[2001:db8::1]", True),
        ("0.0.0.0", (), "evil.example", False),
        ("192.0.2.1", (), "192.0.2.1", True),
        ("192.0.2.1", (), "192.0.2.2", False),
        ("my-machine", (), "My-Machine:8000", True),
        ("127.0.0.1", ("*",), "evil.example", True),
        ("127.0.0.1", ("[2001:db8::1]",), "[2001:db8::1]:80", True),
    ],
)
def test_which_hosts_are_served(bound: str, more: tuple[str, ...], host: str, served: bool) -> None:
    scope = {"headers": [(b"host", host.encode())], "http_version": "1.1", "server": ("192.0.2.9", 80)}
    if served:
        Hosts(bound, more).check(scope)
    else:
        with pytest.raises(ProblemError, match="This server is not"):
            Hosts(bound, more).check(scope)


@pytest.mark.parametrize("name", ["", "a b", "http://a", "a:80", "[::1"])
def test_a_host_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="is not a name"):
        Hosts("127.0.0.1", [name])
    run = [sys.executable, "-m", "emocatcher", "serve", "--port", "0", "--allow-host", name]
    if name == "a:80":
        done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: The host 'a:80' is not a name")
