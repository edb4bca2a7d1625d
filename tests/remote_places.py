"""Places that URIs name, on loopback: a web server with faults, and an S3 store."""

from __future__ import annotations

import http.server
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

KEY, SECRET = "AKIAEXAMPLEKEY", "sEcReT/with+slash"


class WebServer(http.server.ThreadingHTTPServer):
    """Serves `files` by path; `faults` has what goes wrong with some of them, `asked` counts the requests of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}  # of the last request of each path
        self.n_unsteady = 0  # requests of files with the fault "every"
        self.released = threading.Event()  # ends what hangs

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no error."""

    def add(self, path: str, content: bytes = b"", fault: str = "") -> str:
        """Serve a file, and return its URI.

        Faults: "no-ranges", "no-length", "hang", "slow", "every-N" (an error 503 for every Nth request of such files),
        "half-N" (the connection is closed half way N times; "half-N-whole" without ranges), "status-N", "to-URI" (a
        redirect), "loop", "changing".
        """
        self.files[path], self.faults[path] = content, fault
        self.asked[path] = 0
        return f"{self.uri}{path}"

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, place = unquote(urlsplit(self.path).path), self.server
        place.asked[path] += 1
        place.headers[path] = dict(self.headers)
        content, fault = place.files.get(path), place.faults.get(path, "")
        kind, _, value = fault.partition("-")
        if content is None:
            self.send_error(404)
        elif kind == "status":
            self.send_error(int(value))
        elif kind == "every" and self._is_nth(int(value)):
            self.send_error(503)
        elif kind in ("to", "loop"):
            self.send_response(302)
            self.send_header("Location", value or f"{place.uri}{path}?again={place.asked[path]}")
            self.end_headers()
        elif kind == "hang":
            place.released.wait(60)
        else:
            self._send(content, fault, place.asked[path])

    def _is_nth(self, n: int) -> bool:
        self.server.n_unsteady += 1
        return self.server.n_unsteady % n == 0

    def _send(self, content: bytes, fault: str, number: int) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), min(int(asked[2]) + 1, len(content))) if asked else (0, len(content))
        is_whole = not asked or fault in ("no-ranges", "no-length") or "whole" in fault
        if not is_whole and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        part = content if is_whole else content[start:end]
        self.send_response(200 if is_whole else 206)
        if not is_whole:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        if fault != "no-length":
            self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{number}"' if fault == "changing" else '"1"')
        self.end_headers()
        if fault.startswith("half") and number <= int(re.sub(r"\D", "", fault)):
            part = part[: len(part) // 2]
        step = 1 if fault == "slow" else 1 << 16
        for at in range(0, len(part), step):
            self.wfile.write(part[at : at + step])
            if fault == "slow":
                time.sleep(0.05)


@pytest.fixture(scope="session")
def web() -> Iterator[WebServer]:
    """A web server."""
    server = WebServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 store with an empty bucket "calls"; the environment has what is needed to use it."""
    moto_server = pytest.importorskip("moto.server", reason="needs the extra 'dev'")
    fsspec = pytest.importorskip("fsspec")
    server = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    given = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": address}
    given |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith("AWS_") and name not in given]:
            patch.delenv(name)
        fsspec.filesystem("s3").mkdir("calls")
        yield address
    server.stop()
