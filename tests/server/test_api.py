"""The routes around recognition: health, model, metrics, documents, page, tokens, CORS, guess first."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import pytest
import soundfile

from emocatcher.server import web_page
from emocatcher.server.model_description import ModelDescription
from emocatcher.server.security import Tokens

from .conftest import Server, voice


def test_health_and_readiness_are_reported(server: Server) -> None:
    assert server.get("/healthz").body == b"ok\n"
    assert server.get("/readyz").body == b"ready\n"
    server.request("POST", "/healthz").problem(405, "MethodNotAllowed")


def test_the_model_is_described(server: Server) -> None:
    answer = server.get("/v1/model")
    model = msgspec.json.decode(answer.body, type=ModelDescription)
    assert model.labels[0] == "neutral"
    assert (model.sample_rate_hz, model.listen_corpus, model.token_required) == (16_000, True, False)
    assert answer.json.keys() == set(ModelDescription.__struct_fields__)


def test_the_graph_for_the_browser_is_served(server: Server) -> None:
    pytest.importorskip("onnx", reason="needs the extra 'export'")
    import onnxruntime

    address = server.get("/v1/model").json["waveform_onnx"]
    session = onnxruntime.InferenceSession(server.get(address).body)
    assert [one.name for one in session.get_inputs()] == ["waveform"]


def test_the_metrics_count_requests_recordings_and_bytes(server: Server) -> None:
    def count(line: str) -> float:
        text = server.get("/metrics").body.decode()
        return sum(float(found.split()[-1]) for found in text.splitlines() if found.startswith(line))

    good, bad = 'emocatcher_recordings_total{outcome="ok"}', 'emocatcher_recordings_total{outcome="DecodeError"}'
    before = count(good), count(bad), count("emocatcher_upload_bytes_total")
    server.post("/v1/predict", voice())
    server.post("/v1/predict", b"hello")
    assert (count(good), count(bad)) == (before[0] + 1, before[1] + 1)
    assert count("emocatcher_upload_bytes_total") == before[2] + len(voice()) + 5
    assert count('emocatcher_requests_total{method="POST",route="/v1/predict",status="422"}') > 0
    server.get("/some/path/without/route")
    assert "without" not in server.get("/metrics").body.decode()
    assert server.metric("workers") == 2


def test_http_errors_are_problem_details(server: Server) -> None:
    assert "/nothing" in server.get("/nothing").problem(404, "NotFound")
    answer = server.get("/v1/predict")
    assert "GET" in answer.problem(405, "MethodNotAllowed")
    assert answer.headers["allow"] == "POST"
    server.request("POST", "/nothing").problem(404, "NotFound")
    server.get("/v1/model/../../../../etc/passwd").problem(404, "NotFound")
    with server.connect() as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_every_answer_has_security_headers(server: Server) -> None:
    for path in ("/", "/docs", "/v1/model", "/nothing"):
        headers = server.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "script-src 'self' blob: 'wasm-unsafe-eval'" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in headers


def test_the_documentation_lists_all_routes_and_needs_no_other_host(server: Server) -> None:
    text = server.get("/docs").body.decode()
    assert "<script" not in text
    for path in ("/v1/predict", "/v1/timeline", "/v1/stream", "/v1/listen/clips", "/metrics"):
        assert path in text
    document = server.get("/openapi.json").json
    answers = document["paths"]["/v1/predict"]["post"]["responses"]
    assert {"200", "400", "401", "413", "415", "422", "429", "500"} <= answers.keys()
    assert "Retry-After" in answers["429"]["headers"]
    references = {word for word in json.dumps(document).split('"') if word.startswith("#/components/")}
    assert {name.rpartition("/")[2] for name in references} <= {
        name for kind in document["components"].values() for name in kind
    }


def test_the_page_or_the_command_to_build_it_is_served(server: Server) -> None:
    answer = server.get("/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    if web_page.find() is None:
        assert b"make page" in answer.body
    else:
        described = server.get("/model/model.json")
        assert described.json["labels"] == server.get("/v1/model").json["labels"]


def test_a_built_page_is_served_with_content_types_and_cache_headers(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.testclient import TestClient

    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><head></head>hello")
    for name in ("run.wasm", "run.mjs", "a.js", "graph.onnx"):
        (tmp_path / "assets" / name).write_bytes(b"x")
    client = TestClient(web_page.Page(tmp_path))
    for address in ("/", "/index.html"):
        index = client.get(address)
        assert index.text.endswith("hello")
        assert '<meta name="emocatcher-server"' in index.text.partition("</head>")[0]  # marks that an API exists
        assert index.headers["cache-control"] == "no-cache"
    assert client.head("/").status_code == 200
    kinds = {name: client.get(f"/assets/{name}").headers["content-type"] for name in ("run.wasm", "run.mjs", "a.js")}
    assert kinds["run.wasm"] == "application/wasm"
    assert kinds["run.mjs"].startswith("text/javascript")
    assert "immutable" in client.get("/assets/a.js").headers["cache-control"]


def test_a_guess_is_answered_with_the_acted_emotion_and_a_prediction(server: Server) -> None:
    listed = server.get("/v1/listen/clips").json
    assert len(listed["clips"]) == 3
    assert listed["labels"] == server.get("/v1/model").json["labels"]
    assert sorted(clip["duration_s"] for clip in listed["clips"]) == [1.0, 2.0, 3.0]
    truth = {1.0: "angry", 2.0: "happy", 3.0: "sad"}
    for clip in listed["clips"]:
        assert not any(emotion in clip["id"] for emotion in listed["labels"])
        address = f"/v1/listen/clips/{clip['id']}"
        sound = server.get(f"{address}/audio")
        assert sound.headers["content-type"] == "audio/wav"
        info = soundfile.info(io.BytesIO(sound.body))
        assert (info.samplerate, info.subtype, info.duration) == (48_000, "PCM_16", clip["duration_s"])
        answer = server.post(f"{address}/guess", b'{"emotion": "calm"}', "application/json").json
        assert answer["emotion"] == truth[clip["duration_s"]]
        assert answer["prediction"]["duration_s"] == clip["duration_s"]
        assert "/" not in answer["prediction"]["path"]


@pytest.mark.parametrize(
    ("body", "words"),
    [(b'{"emotion": "hungry"}', "'hungry'"), (b"{}", "`emotion`"), (b"[", "`array`"),
     (b'{"emotion": "calm", "more": 1}', "`more`")],
)  # fmt: skip
def test_an_invalid_guess_is_refused(server: Server, body: bytes, words: str) -> None:
    number = server.get("/v1/listen/clips").json["clips"][0]["id"]
    answer = server.post(f"/v1/listen/clips/{number}/guess", body, "application/json")
    assert words in answer.problem(422, "SettingError")
    assert "clip" in server.get("/v1/listen/clips/0/audio").problem(404, "NotFound")


def test_tokens_are_required_and_cors_allows_only_given_origins(
    serve: Callable[..., AbstractContextManager[Server]],
) -> None:
    arguments = ("--workers", 1, "--token", "one", "--token", "zwei-é", "--cors", "https://page.example")
    with serve(*arguments) as server:
        answer = server.get("/v1/model")
        answer.problem(401, "Unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer", "Bearer two", "Basic one", "Bearer one two", "one", "Bearer "):
            server.get("/v1/model", Authorization=wrong).problem(401, "Unauthorized")
            server.post("/v1/predict", voice(), Authorization=wrong).problem(401, "Unauthorized")
        model = server.get("/v1/model", Authorization="Bearer one").json
        assert (model["token_required"], model["listen_corpus"]) == (True, False)
        assert server.get("/v1/model", Authorization="bearer one").status == 200
        assert server.get("/healthz").status == 200
        server.get("/v1/listen/clips", Authorization="Bearer one").problem(404, "NotFound")
        headers = {"Origin": "https://page.example", "Authorization": "Bearer one"}
        assert server.get("/v1/model", **headers).headers["access-control-allow-origin"] == headers["Origin"]
        headers["Origin"] = "https://other.example"
        assert "access-control-allow-origin" not in server.get("/v1/model", **headers).headers


def test_cors_is_off_by_default(server: Server) -> None:
    headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    answer = server.request("OPTIONS", "/v1/predict", None, headers)
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in server.get("/v1/model", **headers).headers


def test_only_exact_tokens_are_accepted() -> None:
    tokens = Tokens(["secret", "andere", ""])
    assert tokens.accepts("secret")
    assert tokens.accepts("andere")
    assert not any(map(tokens.accepts, ("", None, "secre", "secret ", "SECRET", "é")))
    assert Tokens([]).accepts(None)
