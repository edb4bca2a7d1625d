"""`emocatcher.client` gives the same answers as a local `Recognizer`."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import emocatcher
from emocatcher.client import Client
from emocatcher.client.replies import decode_message
from emocatcher.foundation.errors import AudioError, DecodeError, ServerError, SettingError

from .conftest import RATE, Server, same_window, sound, streamed, voice


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url)


def test_predict_equals_a_local_recognizer(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a b\u00e9.wav"
    path.write_bytes(voice())
    ours = emocatcher.load().predict(path)
    theirs = client.predict(path)
    assert theirs.path == str(path)
    assert theirs.probabilities == pytest.approx(ours.probabilities, abs=1e-5)
    assert client.predict(str(path)) == theirs
    for source in (voice(), (sound(2.0), RATE), (sound(2.0) / 32_768, RATE)):
        assert client.predict(source).probabilities == pytest.approx(ours.probabilities, abs=1e-4)
    assert client.predict(voice(), abstain_below=1.0).abstain


def test_timeline_equals_a_local_recognizer(client: Client) -> None:
    theirs, ours = client.timeline(voice(5.0), 2.0, 0.5), emocatcher.load().timeline(voice(5.0), 2.0, 0.5)
    assert all(map(same_window, theirs.windows, ours.windows))
    assert len(theirs.windows) == len(ours.windows)
    assert theirs.abstain_below == ours.abstain_below
    strict = client.timeline(voice(5.0), 2.0, 0.5, abstain_below=1.0)
    assert strict.abstain_below == 1.0
    assert all(part.abstain for part in (*strict.windows, *strict.segments))


@pytest.mark.parametrize("is_int16", [True, False])
def test_stream_gives_the_windows_of_a_local_stream(client: Client, is_int16: bool) -> None:
    samples = sound(8.3) if is_int16 else sound(8.3) / 32_768
    chunks = (samples[start : start + 7_777] for start in range(0, len(samples), 7_777))
    theirs = list(client.stream(chunks, RATE, hop_s=0.4))
    ours = streamed(emocatcher.load(), samples, 3.0, 0.4)
    assert len(theirs) == len(ours) > 10
    assert all(map(same_window, theirs, ours))
    for threshold, abstains in ((1.0, True), (0.0, False)):
        windows = client.stream([samples], RATE, abstain_below=threshold)
        assert {window.abstain for window in windows if window.speech} == {abstains}


KINDS: dict[str, Callable[[np.ndarray], object]] = {
    "int8": lambda pcm: (pcm // 256).astype(np.int8),
    "int16": lambda pcm: pcm,
    "big-endian int16": lambda pcm: pcm.astype(">i2"),
    "int32": lambda pcm: pcm.astype(np.int32) * 65_536,
    "int32 of 16 bits": lambda pcm: pcm.astype(np.int32),
    "int64 of 16 bits": lambda pcm: pcm.astype(np.int64),
    "int64 of 24 bits": lambda pcm: pcm.astype(np.int64) * 256,
    "list of integers": lambda pcm: pcm.tolist(),
    "uint8": lambda pcm: (pcm // 256 + 128).astype(np.uint8),
    "float16": lambda pcm: (pcm / 32_768).astype(np.float16),
    "float64": lambda pcm: pcm / 32_768,
    "list of floats": lambda pcm: (pcm / 32_768).tolist(),
    "floats at the scale of 16 bits": lambda pcm: pcm.astype(np.float32),
    "two channels": lambda pcm: np.stack([pcm, pcm // 2], axis=1),
    "opposite phase": lambda pcm: np.stack([pcm, -(pcm // 2)], axis=1),
    "transposed channels": lambda pcm: np.stack([pcm, pcm]) / 32_768,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_array_gets_the_answers_of_a_local_recognizer(client: Client, kind: str) -> None:
    recognizer, array = emocatcher.load(), KINDS[kind](sound(3.2))
    source = (array, RATE)
    ours, theirs = recognizer.predict(source), client.predict(source)  # type: ignore[arg-type]
    assert theirs.probabilities == pytest.approx(ours.probabilities, abs=1e-5)
    assert theirs.emotion == ours.emotion
    assert theirs.warnings == ours.warnings
    timelines = [one.timeline(source, 1.0, 0.5) for one in (recognizer, client)]  # type: ignore[attr-defined]
    assert all(map(same_window, timelines[0].windows, timelines[1].windows))
    assert timelines[0].warnings == timelines[1].warnings
    stream = recognizer.stream(RATE, 1.0, 0.5)
    if kind in {"int64 of 24 bits", "floats at the scale of 16 bits"}:
        for recognise in (stream.push, lambda chunk: list(client.stream([chunk], RATE, 1.0, 0.5))):
            with pytest.raises(AudioError, match=r"-1 … 1"):
                recognise(array)
    elif kind != "int32 of 16 bits":  # which a stream takes as 32 bits
        windows = [*stream.push(array), *stream.finish()]  # type: ignore[arg-type]
        assert any(window.speech for window in windows)
        assert all(map(same_window, client.stream([array], RATE, 1.0, 0.5), windows))  # type: ignore[list-item]


def test_stream_yields_windows_before_all_chunks_are_read(client: Client) -> None:
    def chunks() -> Iterator[np.ndarray]:
        while True:
            yield sound(1.0)

    windows = client.stream(chunks(), RATE)
    assert next(windows).end_s == 3.0
    windows.close()  # type: ignore[attr-defined]


def test_an_empty_stream_ends(client: Client) -> None:
    assert list(client.stream(iter([]), RATE)) == []


def test_errors_of_the_callers_chunks_are_raised(client: Client) -> None:
    def chunks() -> Iterator[np.ndarray]:
        yield sound(0.5)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(client.stream(chunks(), RATE))
    with pytest.raises(SettingError, match="the same type"):
        list(client.stream(iter([sound(0.5), sound(0.5) / 32_768]), RATE))


def test_a_refusal_raises_an_error_with_the_servers_reason(client: Client) -> None:
    with pytest.raises(ServerError, match="Cannot be decoded") as refused:
        client.predict(b"hello")
    assert (refused.value.status, refused.value.error) == (422, "DecodeError")
    with pytest.raises(ServerError, match="The hop is"):
        client.timeline(voice(), 1.0, 2.0)
    with pytest.raises(ServerError, match="The hop is") as refused:
        list(client.stream(iter([sound(0.5)]), RATE, 1.0, 2.0))
    assert refused.value.error == "SettingError"
    with pytest.raises(DecodeError, match="no-such-file"):
        client.predict("no-such-file.wav")


def test_an_unreachable_server_and_an_invalid_url_raise_errors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}")
    with pytest.raises(ServerError, match="cannot be reached"):
        client.model()
    with pytest.raises(ServerError, match="cannot be reached"):
        list(client.stream(iter([sound(0.5)]), RATE))
    with pytest.raises(SettingError, match="not a server's address"):
        Client("localhost:8000")


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A server that answers all requests with success and a page, as some proxies do."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Sign in</html>" if self.path.endswith("predict") else b'{"other": "\xff"}')

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_the_answer_of_another_kind_of_server_raises_an_error() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(f"http://127.0.0.1:{server.server_port}")
        for call in (
            lambda: client.predict(voice()), lambda: client.timeline(voice()), client.model,
            lambda: client.settle([voice()]), lambda: client.use_profile(b"{}"),
            lambda: list(client.stream(iter([sound(0.5)]), RATE)),
        ):  # fmt: skip
            with pytest.raises(ServerError, match=r"an emocatcher server's|cannot be reached"):
                call()
        server.shutdown()


@pytest.mark.parametrize("message", [b"\xff", "[]", "{}", '{"type": "window"}', '{"type": "error"}', '{"type": 3}'])
def test_a_message_of_another_kind_raises_an_error(message: str | bytes) -> None:
    with pytest.raises(ServerError, match="the same version"):
        decode_message(message, "window", "done")


def test_the_token_is_sent(serve: Callable[..., AbstractContextManager[Server]]) -> None:
    with serve("--workers", 1, "--token", "secret", limits={"upload_bytes": 1000}) as server:
        client = Client(server.url, token="secret")
        assert client.model()["token_required"] is True
        assert len(list(client.stream(iter([sound(5.0)]), RATE))) > 3
        with pytest.raises(ServerError, match="larger than 1000 bytes") as refused:
            client.predict(voice(5.0))
        assert refused.value.status == 413
        with pytest.raises(ServerError, match="needs a token"):
            Client(server.url).model()
        with pytest.raises(ServerError, match="needs a token"):
            list(Client(server.url).stream(iter([sound(0.5)]), RATE))
