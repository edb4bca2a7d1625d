"""`POST /v1/predict` and `/v1/timeline`: the forms, the answers, the refusals."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import emocatcher
from emocatcher import audio
from emocatcher.foundation.errors import DecodeError
from emocatcher.recognition.json_schema import prediction_schema
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.timeline import Timeline

from .conftest import BOUNDARY, Server, form, same_window, voice

FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="module")
def by_command(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command line says of the voice."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    path.write_bytes(voice())
    command = [sys.executable, "-m", "emocatcher", "predict", path.name, "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=path.parent)
    (told,) = json.loads(done.stdout)
    return dict(told)


def as_base64(name: str, content: bytes) -> dict[str, str]:
    return {"audio_base64": base64.b64encode(content).decode(), "name": name}


def test_every_form_gets_the_command_lines_answer(server: Server, by_command: dict[str, Any]) -> None:
    answers = [
        server.post_files("/v1/predict", ("voice.wav", voice())),
        server.post("/v1/predict?name=voice.wav", voice()),
        server.post("/v1/predict?name=voice.wav", voice(), "application/octet-stream"),
        server.post("/v1/predict", json.dumps(as_base64("voice.wav", voice())).encode(), "application/json"),
    ]
    for answer in answers:
        assert answer.status == 200, answer.body
        assert answer.json == by_command
        assert answer.headers["content-type"] == "application/json"


def test_an_answer_follows_the_published_schema(server: Server) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(server.post("/v1/predict", voice()).json, prediction_schema())


def test_many_come_back_in_order_and_a_bad_one_stops_nothing(server: Server) -> None:
    names = [f"{i}.wav" for i in range(12)]
    files = [(name, b"no sound" if i == 5 else voice(1.0 + i % 3)) for i, name in enumerate(names)]
    as_form = server.post_files("/v1/predict", *files).json
    recordings = json.dumps({"recordings": [as_base64(*file) for file in files]}).encode()
    assert server.post("/v1/predict", recordings, "application/json").json == as_form
    assert [one["path"] for one in as_form] == names
    assert [one["duration_s"] for i, one in enumerate(as_form) if i != 5] == [1.0 + i % 3 for i in range(12) if i != 5]
    assert as_form[5]["error"] == "DecodeError"
    assert "cannot be decoded" in as_form[5]["message"]


def test_one_recording_in_a_list_is_answered_by_a_list(server: Server) -> None:
    answer = server.post(
        "/v1/predict", json.dumps({"recordings": [as_base64("", voice())]}).encode(), "application/json"
    )
    assert [one["emotion"] for one in answer.json] == [server.post("/v1/predict", voice()).json["emotion"]]


@pytest.mark.parametrize(("threshold", "abstains"), [("1", True), ("0", False)])
def test_the_threshold_is_the_clients(server: Server, threshold: str, abstains: bool) -> None:
    assert server.post(f"/v1/predict?abstain_below={threshold}", voice()).json["abstain"] is abstains


def test_a_name_is_only_a_name(server: Server, tmp_path: Path) -> None:
    (tmp_path / "there.wav").write_bytes(voice())
    name = str(tmp_path / "there.wav")
    answer = server.post_files("/v1/predict", (name, b"no sound"))
    answer.problem(422, "DecodeError")
    assert str(tmp_path) not in answer.body.decode()
    heard = server.post_files("/v1/predict", ("../../é\u4e2d.wav", voice())).json
    assert heard["path"] == "../../é\u4e2d.wav"


def test_a_recording_that_names_another_file_is_none(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.wav").write_bytes(voice())
    monkeypatch.chdir(tmp_path)  # FFmpeg holds a name without a folder to be safe
    text = b"ffconcat version 1.0\nfile secret.wav\n"
    (tmp_path / "list.wav").write_bytes(text)
    for source in (text, "list.wav"):
        with pytest.raises(DecodeError):
            audio.load(source)
    server.post("/v1/predict", text).problem(422, "DecodeError")
    server.post("/v1/timeline", b"ffconcat version 1.0\nfile 0\nfile 1\n").problem(422, "DecodeError")


def test_a_timeline_is_the_recognizers(server: Server) -> None:
    answer = server.post("/v1/timeline?window_s=2&hop_s=0.25&name=talk.wav", voice(7.0))
    told = msgspec.json.decode(answer.body, type=Timeline)
    heard = emocatcher.load().timeline(voice(7.0), 2.0, 0.25)
    assert (told.path, told.model, told.labels, told.duration_s) == ("talk.wav", heard.model, heard.labels, 7.0)
    assert [segment.emotion for segment in told.segments] == [segment.emotion for segment in heard.segments]
    assert len(told.windows) == len(heard.windows) > 20
    for theirs, ours in zip(told.windows, heard.windows, strict=True):
        assert same_window(theirs, ours)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("predict?abstain_below=2", "abstain_below"),
        ("predict?abstain_below=nan", "abstain_below"),
        ("predict?abstain_below=much", "abstain_below"),
        ("timeline?window_s=0", "window_s"),
        ("predict?abstain=0.5", "'abstain'"),
        ("predict?window_s=2", "'window_s'"),
        ("timeline?hop=0.5", "Did you mean 'hop_s'"),
        ("timeline?window_s=nan", "window_s"),
        ("timeline?hop_s=-1", "hop_s"),
        ("timeline?window_s=1&hop_s=2", "The hop is 2 s"),
        ("timeline?window_s=0.01", "The window is 0.01 s"),
    ],
)
def test_a_parameter_that_is_not_allowed_is_named(server: Server, query: str, wrong: str) -> None:
    assert wrong in server.post(f"/v1/{query}", voice()).problem(422, "SettingError")


@pytest.mark.parametrize(
    ("body", "kind", "status", "error"),
    [
        (b"", "audio/wav", 422, "EmptyAudioError"),
        (b"", "application/octet-stream", 422, "EmptyAudioError"),
        (b"hello", "audio/wav", 422, "DecodeError"),
        (b"hello", "text/plain", 415, "UnsupportedMediaType"),
        (b"hello", "", 415, "UnsupportedMediaType"),
        (b"hello", FORM, 400, "MalformedBody"),
        (b"hello", "multipart/form-data", 400, "MalformedBody"),
        (form(("a.wav", b"x"))[:-6], FORM, 400, "MalformedBody"),
        (form(("a.wav", b"x"), field="voice"), FORM, 422, "SettingError"),
        (form(("a.wav", b"")), FORM, 422, "EmptyAudioError"),
        (form(), FORM, 422, "EmptyAudioError"),
        (b"{", "application/json", 400, "MalformedBody"),
        (b"[]", "application/json", 422, "SettingError"),
        (b"{}", "application/json", 422, "SettingError"),
        (b'{"audio_base64": "!"}', "application/json", 422, "SettingError"),
        (b'{"audio_base64": ""}', "application/json", 422, "EmptyAudioError"),
        (b'{"audio_base64": "AAAA", "path": "/etc/passwd"}', "application/json", 422, "SettingError"),
        (b'{"recordings": []}', "application/json", 422, "EmptyAudioError"),
        (b"\xff\xfe", "application/json", 400, "MalformedBody"),
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_a_problem(server: Server, body: bytes, kind: str, status: int, error: str) -> None:
    server.post("/v1/predict", body, kind).problem(status, error)


def test_a_timeline_is_of_one_recording(server: Server) -> None:
    answer = server.post_files("/v1/timeline", ("a.wav", voice()), ("b.wav", voice()))
    assert "one recording" in answer.problem(422, "SettingError")


def test_nothing_is_left_of_an_upload(server: Server) -> None:
    server.post("/v1/predict", voice())
    server.post("/v1/predict", b"hello")
    server.post_files("/v1/predict", *[("a.wav", voice())] * 3)
    assert list(server.spool.iterdir()) == []
    assert server.metric("spool_bytes") == 0
    assert server.metric("uploads") == 0


def test_an_answer_reads_as_a_prediction(server: Server) -> None:
    heard = msgspec.json.decode(server.post("/v1/predict", voice()).body, type=Prediction)
    assert sum(heard.probabilities.values()) == pytest.approx(1.0)
