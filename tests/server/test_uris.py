"""The server reads what it is sent, and never a URI that a client names; the client reads URIs itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

import emocatcher
from emocatcher.client import Client
from emocatcher.foundation.errors import UnreachableError

from .conftest import Server, form, voice

SECRET = "hush-hush"


@pytest.mark.parametrize("scheme", ["http", "file", "memory", "s3"])
def test_a_uri_from_a_client_is_never_read(server: Server, web: Any, tmp_path: Any, scheme: str) -> None:
    (tmp_path / "inside.wav").write_bytes(voice(1.0))
    uri = web.add("/inside.wav", voice(1.0)) if scheme == "http" else f"{scheme}://{tmp_path}/inside.wav"
    playlist = f"#EXTM3U\n#EXTINF:1,\n{uri}\n".encode()
    descriptor, links = f"ffconcat version 1.0\nfile '{uri}'\n".encode(), f"<a href={uri}>".encode()
    as_json = json.dumps(dict.fromkeys(("url", "uri", "path", "source", "file", "recording"), uri)).encode()
    asked = f"name={quote(uri)}&url={quote(uri)}&path={quote(uri)}&source={quote(uri)}"
    for path in ("/v1/predict", "/v1/timeline", "/v1/settle"):
        for body, kind in (
            *((content, "audio/wav") for content in (uri.encode(), playlist, descriptor, links)),
            (playlist, "application/vnd.apple.mpegurl"),
            (as_json, "application/json"),
            (f"file={quote(uri)}&url={quote(uri)}".encode(), "application/x-www-form-urlencoded"),
            (form((uri, uri.encode())), "multipart/form-data; boundary=a-line-between"),
            (form((uri, b"")), "multipart/form-data; boundary=a-line-between"),
            (form(("a", uri.encode()), field="url"), "multipart/form-data; boundary=a-line-between"),
        ):
            answer = server.request("POST", f"{path}?{asked}", body, {"Content-Type": kind, "X-Source": uri})
            assert 400 <= answer.status < 500, (path, kind, answer.status, answer.body)
    named = server.post(f"/v1/predict?name={quote(uri)}", voice(1.0))
    assert named.status in (200, 422)  # 422 where the name is not allowed
    assert web.asked["/inside.wav"] == 0


def test_the_client_reads_a_uri_and_sends_its_bytes(server: Server, web: Any) -> None:
    uri = web.add("/a b.wav", voice(1.0))
    found = Client(server.url).predict(f"{uri}?token={SECRET}")
    assert found.path == f"{uri}?…"
    assert found.probabilities == pytest.approx(emocatcher.load().predict(voice(1.0)).probabilities, abs=1e-5)
    assert web.asked["/a b.wav"] == 1
    with pytest.raises(UnreachableError) as refused:
        Client(server.url).predict(f"{web.add('/no.wav', b'', 'status-403')}?token={SECRET}")
    assert SECRET not in str(refused.value)
    assert SECRET not in server.log.read_text()
