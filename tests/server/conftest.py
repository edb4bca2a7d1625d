"""Start a real server on the loopback interface, in its own process."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher.recognition.timeline import Window

pytest.importorskip("fastapi", reason="needs the extra 'serve'")
pytest.importorskip("uvicorn", reason="needs the extra 'serve'")

RATE = 48_000
_START_S = 30.0
BOUNDARY = "a-line-between"


class Answer:
    """A response: status, headers with lower-case names, and body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self, status: int, error: str) -> str:
        """Check that the response is this problem, and return its detail."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        problem = self.json
        assert (self.status, problem["status"], problem["error"]) == (status, status, error), problem
        assert problem["title"]
        assert problem["type"].startswith("urn:emocatcher:problem:")
        return str(problem["detail"])


class Server:
    """A server process."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, headers)

    def post(self, path: str, body: bytes, kind: str = "audio/wav", **headers: str) -> Answer:
        return self.request("POST", path, body, {"Content-Type": kind, **headers})

    def post_files(self, path: str, *files: tuple[str, bytes]) -> Answer:
        return self.post(path, form(*files), f"multipart/form-data; boundary={BOUNDARY}")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def metric(self, name: str) -> float:
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(f"emocatcher_{name} "):
                return float(line.split()[1])
        raise AssertionError(name)

    def wait_until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        last = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < last, f"the condition is false after {seconds} s: {self.log.read_text()}"
            time.sleep(0.05)

    def children(self) -> list[int]:
        return descendants(self.process.pid)

    def workers(self) -> list[int]:
        """The worker processes: children of the fork server."""
        return [child for forker in children_of(self.process.pid) for child in children_of(forker)]

    @property
    def spool(self) -> Path:
        """The folder of the uploads."""
        (folder,) = (path for path in Path(self.log.parent).glob("emocatcher-*") if path.is_dir())
        (folder / "uploads").mkdir(mode=0o700, exist_ok=True)
        return folder / "uploads"


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            state, parent = rest.split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(name.split()[0]))
    return found


def descendants(pid: int) -> list[int]:
    return [found for child in children_of(pid) for found in (child, *descendants(child))]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def serving(
    folder: Path,
    *arguments: object,
    limits: dict[str, object] | None = None,
    system: str = "true",
    name: str = "serve",
) -> Iterator[Server]:
    """Start a server, wait until it is ready, and stop it afterwards.

    Args:
        folder: for its temporary files and its log.
        arguments: of the command.
        limits: the server's limits that differ from the default.
        system: a shell command that runs before it, such as `ulimit -n 256`.
        name: of the command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    chosen = [f"--limit={name}={value}" for name, value in (limits or {}).items()]
    command = ["sh", "-c", f'{system}; exec "$@"', "sh", sys.executable, "-m", "emocatcher", name, "--port", "0"]
    command += [*map(str, arguments), *chosen]
    environment = {name: value for name, value in os.environ.items() if name != "EMOCATCHER_TOKENS"}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, text=True, env=environment | {"TMPDIR": str(folder)}
        )
    server = Server(process, 0, log)
    try:
        server.wait_until(lambda: " is at http" in log.read_text() or process.poll() is not None, _START_S)
        assert process.poll() is None, log.read_text()
        server = Server(process, int(log.read_text().partition("127.0.0.1:")[2].partition("/")[0]), log)
        server.wait_until(lambda: server.get("/readyz").status == 200, _START_S)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Server]]:
    """`with serve("--workers", 1, limits={…}) as server:` in a new folder."""
    return lambda *arguments, **options: serving(tmp_path_factory.mktemp("server"), *arguments, **options)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, guess_dir: Path) -> Iterator[Server]:
    """A server with two workers that many tests share; none of them may kill it."""
    folder = tmp_path_factory.mktemp("shared")
    with serving(folder, "--workers", 2, "--listen-corpus", guess_dir) as running:
        yield running


@pytest.fixture(scope="session")
def guess_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips with an emotion in their names, and one without."""
    folder = tmp_path_factory.mktemp("guess")
    for i, name in enumerate(("03-01-05-01-01-01-01", "03-01-03-01-01-01-02", "03-01-04-02-01-01-03", "03-01-other")):
        (folder / f"{name}.wav").write_bytes(voice(1.0 + i))
    return folder


@lru_cache(maxsize=8)
def voice(seconds: float = 2.0) -> bytes:
    """A synthetic voice-like sound as a 16-bit WAV file."""
    target = io.BytesIO()
    soundfile.write(target, sound(seconds), RATE, format="WAV", subtype="PCM_16")
    return target.getvalue()


@lru_cache(maxsize=8)
def sound(seconds: float) -> np.ndarray:
    """The samples of the voice, shape (n_samples,), int16."""
    times_s = np.arange(round(seconds * RATE)) / RATE
    pitch_hz = 140 + 40 * np.sin(2 * np.pi * 0.7 * times_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * times_s), 0.02, 1.0)
    return (4000 * harmonics * syllables).astype(np.int16)


def form(*files: tuple[str, bytes], field: str = "file") -> bytes:
    """Encode files as a multipart form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def streamed(ours: emocatcher.Recognizer, samples: Any, window_s: float = 3.0, hop_s: float = 0.5) -> list[Window]:
    """The windows of a local stream."""
    stream = ours.stream(RATE, window_s, hop_s)
    return [*stream.push(samples), *stream.finish()]


def same_window(theirs: Window, ours: Window) -> bool:
    """Whether two windows are equal up to rounding, because sums are computed in another order."""
    same = (theirs.start_s, theirs.end_s, theirs.speech) == (ours.start_s, ours.end_s, ours.speech)
    if theirs.probability is None or abs(theirs.probability - emocatcher.load().config.abstain_below) > 1e-4:
        same = same and theirs.abstain == ours.abstain
    return same and theirs.probabilities == pytest.approx(ours.probabilities, abs=1e-5)
