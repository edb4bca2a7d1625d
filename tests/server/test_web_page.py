"""The built page of an installed wheel: gzip files, for clients with and without gzip."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import starlette.exceptions
from starlette.testclient import TestClient

from emocatcher.server import web_page
from emocatcher.server.service import Service

PLACE = "emocatcher/server/page"
CONTENT = b"wasm" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page with one compressed file."""
    (tmp_path / "index.html").write_text("<!doctype html><head></head>hello")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "run.wasm.gz").write_bytes(gzip.compress(CONTENT))
    return tmp_path


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("*", "gzip"),
        ("br", None),
        ("gzip;q=0", None),
        ("", None),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;Q=0.0, *", None),
    ],
)
def test_a_compressed_file_is_sent_in_an_accepted_coding_and_revalidated(
    folder: Path, accepted: str, coding: str | None
) -> None:
    client, headers = TestClient(web_page.Page(folder)), {"Accept-Encoding": accepted}
    answer = client.get("/assets/run.wasm", headers=headers)
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "application/wasm"
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "immutable" in answer.headers["cache-control"]
    if coding:
        assert int(answer.headers["content-length"]) == (folder / "assets" / "run.wasm.gz").stat().st_size
    again = client.get("/assets/run.wasm", headers={**headers, "If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["vary"] == "Accept-Encoding"
    assert client.head("/assets/run.wasm", headers=headers).headers["etag"] == answer.headers["etag"]
    (folder / "assets" / "run.wasm.gz").write_bytes(gzip.compress(CONTENT + b"newer"))
    headers["If-None-Match"] = answer.headers["etag"]
    assert client.get("/assets/run.wasm", headers=headers).content == CONTENT + b"newer"
    with pytest.raises(starlette.exceptions.HTTPException, match="405"):
        client.post("/assets/run.wasm", headers=headers)
    with pytest.raises(starlette.exceptions.HTTPException):
        client.get("/assets/%2e%2e/%2e%2e/other.wasm")


def test_each_coding_has_its_own_etag(folder: Path) -> None:
    client = TestClient(web_page.Page(folder))
    tags = {
        coding: client.get("/assets/run.wasm", headers={"Accept-Encoding": coding}).headers["etag"]
        for coding in ("gzip", "identity")
    }
    assert tags["gzip"] != tags["identity"]
    for coding, other in (("gzip", "identity"), ("identity", "gzip")):
        headers = {"Accept-Encoding": coding, "If-None-Match": tags[other]}
        assert client.get("/assets/run.wasm", headers=headers).status_code == 200


def test_the_gzip_file_itself_can_be_requested(folder: Path) -> None:
    answer = TestClient(web_page.Page(folder)).get("/assets/run.wasm.gz")
    assert "content-encoding" not in answer.headers
    assert gzip.decompress(answer.content) == CONTENT


def test_decompressing_for_forty_clients_does_not_hold_whole_files_in_memory(folder: Path) -> None:
    n_bytes, n_clients = 4_000_000, 40
    (folder / "assets" / "run.wasm.gz").write_bytes(gzip.compress(bytes(n_bytes)))
    app, received = web_page.Page(folder), []

    async def request() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            received.append(len(message.get("body", b"")))

        headers = [(b"accept-encoding", b"identity")]
        scope = {"type": "http", "method": "GET", "path": "/assets/run.wasm", "headers": headers, "root_path": ""}
        await app(scope, receive, send)

    async def all_at_once() -> None:
        await asyncio.gather(*(request() for _ in range(n_clients)))

    tracemalloc.start()
    try:
        asyncio.run(all_at_once())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(received) == n_bytes * n_clients
    assert most < n_bytes * n_clients / 5


@pytest.mark.parametrize("name", ["a%00b", "a" * 300, "a" * 253, "none.wasm"])
def test_names_that_cannot_be_files_are_not_found(folder: Path, name: str) -> None:
    with pytest.raises(starlette.exceptions.HTTPException, match="404"):
        TestClient(web_page.Page(folder)).get(f"/{name}")


def _find_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    async def submit(*_: object, **__: object) -> bytes:
        return b"new graph"

    monkeypatch.setattr(web_page, "find", lambda: folder)
    pool = SimpleNamespace(description=b'{"name": "a", "token_required": true}', submit=submit)
    service: Any = SimpleNamespace(pool=pool, limits=SimpleNamespace(timeline_s=1.0))
    return asyncio.run(Service._find_graph(service))


def test_the_graph_of_a_compressed_page_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model").mkdir()
    (folder / f"{web_page.DESCRIPTION}.gz").write_bytes(gzip.compress(b'{"name": "a"}'))
    (folder / f"{web_page.GRAPH}.gz").write_bytes(gzip.compress(b"graph"))
    assert _find_graph(folder, monkeypatch) == b"graph"


@pytest.mark.parametrize(
    "damaged",
    [b"broken", gzip.compress(CONTENT, mtime=0)[:-9], b"\x1f\x8b\x08" + bytes(20)],
    ids=["not gzip", "cut off", "no content"],
)
def test_a_damaged_page_is_ignored_and_a_new_graph_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes
) -> None:
    (folder / "model").mkdir()
    (folder / web_page.DESCRIPTION).write_bytes(b'{"name": "a"}')
    (folder / f"{web_page.GRAPH}.gz").write_bytes(damaged)
    assert _find_graph(folder, monkeypatch) == b"new graph"


def test_the_wheel_contains_the_page_compressed_and_reproducible(
    tmp_path: Path, page_in_wheel: Callable[[Path], dict[str, bytes]]
) -> None:
    built = tmp_path / "dist" / "page"
    (built / "model").mkdir(parents=True)
    (built / "index.html").write_text("hello")
    (built / "model" / "waveform.onnx").write_bytes(CONTENT)
    files = page_in_wheel(tmp_path)
    assert files.keys() == {f"{PLACE}/{name}" for name in ("index.html", "model/waveform.onnx.gz")}
    assert files[f"{PLACE}/index.html"] == b"hello"
    assert gzip.decompress(files[f"{PLACE}/model/waveform.onnx.gz"]) == CONTENT
    assert page_in_wheel(tmp_path) == files


@pytest.fixture
def weights() -> bytes:
    return np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def in_pieces(
    tmp_path: Path, weights: bytes, page_in_wheel: Callable[[Path], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An installed page whose graph has the weights of two included models, one of which it was built with."""
    shipped, built = tmp_path / "src" / "emocatcher" / "models" / "shipped", tmp_path / "dist" / "page"
    for name in ("a", "b"):
        (shipped / name).mkdir(parents=True)
        (shipped / name / "config.json").write_text(f'{{"sha256": {{"model.safetensors": "{name}"}}}}')
        (shipped / name / "model.onnx").write_bytes(name.encode() + weights)
    (built / "model").mkdir(parents=True)
    (built / "index.html").write_text("hello")
    (built / web_page.DESCRIPTION).write_text('{"weights_sha256": "b"}')
    (built / web_page.GRAPH).write_bytes(b"x" * 5000 + weights[:200_001] + b"y" + weights[200_001:] + b"z" * 1500)
    for name, content in page_in_wheel(tmp_path).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(web_page, "_PACKAGE", tmp_path / "src" / "emocatcher")
    return tmp_path / PLACE


def test_the_wheel_does_not_repeat_an_included_models_weights(in_pieces: Path, tmp_path: Path) -> None:
    (described,) = in_pieces.glob("model/waveform*")
    assert described.stat().st_size < 3000
    assert b"shipped/b/" in gzip.decompress(described.read_bytes())
    assert web_page.read(in_pieces, web_page.GRAPH) == (tmp_path / "dist" / "page" / web_page.GRAPH).read_bytes()


def test_a_file_in_pieces_is_served_whole(in_pieces: Path, tmp_path: Path) -> None:
    client, address = TestClient(web_page.Page(in_pieces)), f"/{web_page.GRAPH}"
    answer = client.get(address)
    assert answer.content == (tmp_path / "dist" / "page" / web_page.GRAPH).read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (answer.headers["cache-control"], answer.headers["content-length"]) == ("no-cache", str(len(answer.content)))
    assert "content-encoding" not in answer.headers
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(address).headers["etag"] == answer.headers["etag"]
    with pytest.raises(starlette.exceptions.HTTPException, match="405"):
        client.post(address)


def test_pieces_of_another_graph_are_refused(
    in_pieces: Path, tmp_path: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "src" / "emocatcher" / "models" / "shipped" / "b" / "model.onnx"
    source.write_bytes(b"b" + weights[::-1])
    with pytest.raises(ValueError, match=r"does not fit .*Install emocatcher again"):
        web_page.read(in_pieces, web_page.GRAPH)
    (in_pieces / web_page.DESCRIPTION).write_bytes(b'{"name": "a"}')
    assert _find_graph(in_pieces, monkeypatch) == b"new graph"
    source.unlink()
    assert _find_graph(in_pieces, monkeypatch) == b"new graph"
    (described,) = in_pieces.glob("model/waveform*")
    described.write_bytes(gzip.compress(b'{"pieces": [[1]]}'))
    with pytest.raises(ValueError, match=r"is damaged .*Install emocatcher again"):
        web_page.read(in_pieces, web_page.GRAPH)
