"""`POST /v1/predict` and `/v1/timeline`: bodies, answers, refusals."""

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
    """The command line's prediction for the voice."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    path.write_bytes(voice())
    command = [sys.executable, "-m", "emocatcher", "predict", path.name, "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=path.parent)
    (prediction,) = json.loads(done.stdout)
    return dict(prediction)


def as_base64(name: str, content: bytes) -> dict[str, str]:
    return {"audio_base64": base64.b64encode(content).decode(), "name": name}


def test_every_kind_of_body_gets_the_command_lines_prediction(server: Server, by_command: dict[str, Any]) -> None:
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


def test_a_prediction_conforms_to_the_published_schema(server: Server) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    prediction = server.post("/v1/predict", voice()).json
    jsonschema.validate(prediction, prediction_schema())
    assert prediction.keys() == set(Prediction.__struct_fields__)


def test_many_recordings_are_answered_in_order_with_failures_among_them(server: Server) -> None:
    names = [f"{i}.wav" for i in range(12)]
    files = [(name, b"no sound" if i == 5 else voice(1.0 + i % 3)) for i, name in enumerate(names)]
    as_form = server.post_files("/v1/predict", *files).json
    recordings = json.dumps({"recordings": [as_base64(*file) for file in files]}).encode()
    assert server.post("/v1/predict", recordings, "application/json").json == as_form
    assert [one["path"] for one in as_form] == names
    assert [one["duration_s"] for i, one in enumerate(as_form) if i != 5] == [1.0 + i % 3 for i in range(12) if i != 5]
    assert as_form[5]["error"] == "DecodeError"
    assert "cannot be decoded" in as_form[5]["message"]


def test_a_list_with_one_recording_is_answered_with_a_list(server: Server) -> None:
    answer = server.post(
        "/v1/predict", json.dumps({"recordings": [as_base64("", voice())]}).encode(), "application/json"
    )
    assert [one["emotion"] for one in answer.json] == [server.post("/v1/predict", voice()).json["emotion"]]


@pytest.mark.parametrize(("threshold", "abstains"), [("1", True), ("0", False)])
def test_the_client_can_set_the_abstaining_threshold(server: Server, threshold: str, abstains: bool) -> None:
    assert server.post(f"/v1/predict?abstain_below={threshold}", voice()).json["abstain"] is abstains


def test_the_recordings_name_is_never_opened_as_a_path(server: Server, tmp_path: Path) -> None:
    (tmp_path / "there.wav").write_bytes(voice())
    name = str(tmp_path / "there.wav")
    answer = server.post_files("/v1/predict", (name, b"no sound"))
    answer.problem(422, "DecodeError")
    assert str(tmp_path) not in answer.body.decode()
    prediction = server.post_files("/v1/predict", ("../../é\u4e2d.wav", voice())).json
    assert prediction["path"] == "../../é\u4e2d.wav"


def test_a_playlist_that_names_another_file_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.wav").write_bytes(voice())
    monkeypatch.chdir(tmp_path)  # FFmpeg considers a name without a folder safe
    text = b"ffconcat version 1.0\nfile secret.wav\n"
    (tmp_path / "list.wav").write_bytes(text)
    for source in (text, "list.wav"):
        with pytest.raises(DecodeError):
            audio.load(source)
    server.post("/v1/predict", text).problem(422, "DecodeError")
    server.post("/v1/timeline", b"ffconcat version 1.0\nfile 0\nfile 1\n").problem(422, "DecodeError")


def test_a_timeline_equals_a_local_recognizers(server: Server) -> None:
    answer = server.post("/v1/timeline?window_s=2&hop_s=0.25&name=talk.wav", voice(7.0))
    theirs = msgspec.json.decode(answer.body, type=Timeline)
    ours = emocatcher.load().timeline(voice(7.0), 2.0, 0.25)
    assert (theirs.path, theirs.model, theirs.labels, theirs.duration_s) == ("talk.wav", ours.model, ours.labels, 7.0)
    assert [segment.emotion for segment in theirs.segments] == [segment.emotion for segment in ours.segments]
    assert len(theirs.windows) == len(ours.windows) > 20
    assert all(map(same_window, theirs.windows, ours.windows))


@pytest.mark.parametrize(
    ("query", "message"),
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
def test_an_invalid_parameter_is_named(server: Server, query: str, message: str) -> None:
    assert message in server.post(f"/v1/{query}", voice()).problem(422, "SettingError")


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
def test_an_invalid_body_is_refused(server: Server, body: bytes, kind: str, status: int, error: str) -> None:
    assert server.post("/v1/predict", body, kind).problem(status, error)
    assert server.metric("uploads") == 0


def test_a_timeline_of_several_recordings_is_refused(server: Server) -> None:
    answer = server.post_files("/v1/timeline", ("a.wav", voice()), ("b.wav", voice()))
    assert "one recording" in answer.problem(422, "SettingError")


def test_uploads_are_deleted_after_the_request(server: Server) -> None:
    server.post("/v1/predict", voice())
    server.post("/v1/predict", b"hello")
    server.post_files("/v1/predict", *[("a.wav", voice())] * 3)
    assert list(server.spool.iterdir()) == []
    assert server.metric("spool_bytes") == 0
    assert server.metric("uploads") == 0


def test_an_answer_decodes_as_a_prediction(server: Server) -> None:
    prediction = msgspec.json.decode(server.post("/v1/predict", voice()).body, type=Prediction)
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
