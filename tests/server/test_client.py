"""`emocatcher.client`: the same answers as a `Recognizer` of one's own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import emocatcher
from emocatcher.client import Client
from emocatcher.foundation.errors import DecodeError, ServerError, SettingError

from .conftest import RATE, Server, same_window, sound, voice


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url)


def test_it_predicts_what_a_recognizer_does(client: Client, tmp_path: Path) -> None:
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


def test_it_makes_a_timeline(client: Client) -> None:
    theirs, ours = client.timeline(voice(5.0), 2.0, 0.5), emocatcher.load().timeline(voice(5.0), 2.0, 0.5)
    assert all(map(same_window, theirs.windows, ours.windows))
    assert len(theirs.windows) == len(ours.windows)
    assert theirs.abstain_below == ours.abstain_below
    strict = client.timeline(voice(5.0), 2.0, 0.5, abstain_below=1.0)
    assert strict.abstain_below == 1.0
    assert all(part.abstain for part in (*strict.windows, *strict.segments))


@pytest.mark.parametrize("whole", [True, False])
def test_it_streams(client: Client, whole: bool) -> None:
    samples = sound(8.3) if whole else sound(8.3) / 32_768
    chunks = (samples[start : start + 7_777] for start in range(0, len(samples), 7_777))
    found = list(client.stream(chunks, RATE, hop_s=0.4))
    heard = emocatcher.load().timeline((samples, RATE), 3.0, 0.4).windows
    assert len(found) == len(heard) > 10
    assert all(map(same_window, found, heard))
    for threshold, abstains in ((1.0, True), (0.0, False)):
        said = client.stream([samples], RATE, abstain_below=threshold)
        assert {window.abstain for window in said if window.speech} == {abstains}


def test_a_stream_is_heard_while_it_comes(client: Client) -> None:
    taken = []

    def chunks() -> Iterator[np.ndarray]:
        for start in range(0, 60 * RATE, RATE):
            taken.append(start)
            yield sound(1.0)

    windows = client.stream(chunks(), RATE)
    assert next(windows).end_s == 3.0
    windows.close()  # type: ignore[attr-defined]


def test_an_empty_stream_ends(client: Client) -> None:
    assert list(client.stream(iter([]), RATE)) == []


def test_what_goes_wrong_in_the_callers_chunks_is_the_callers(client: Client) -> None:
    def chunks() -> Iterator[np.ndarray]:
        yield sound(0.5)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(client.stream(chunks(), RATE))
    with pytest.raises(SettingError, match="all int16 or all floats"):
        list(client.stream(iter([sound(0.5), sound(0.5) / 32_768]), RATE))


def test_what_the_server_refuses_is_an_error_that_says_why(client: Client) -> None:
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


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}")
    with pytest.raises(ServerError, match="cannot be reached"):
        client.model()
    with pytest.raises(ServerError, match="cannot be reached"):
        list(client.stream(iter([sound(0.5)]), RATE))
    with pytest.raises(SettingError, match="no server's address"):
        Client("localhost:8000")


def test_a_token_goes_along(serve: Callable[..., AbstractContextManager[Server]]) -> None:
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
