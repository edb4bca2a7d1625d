"""`POST /v1/settle`: profiles, their use in every route, their names, limits and ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import numpy as np
import pytest

import emocatcher
from emocatcher.client import Client
from emocatcher.foundation.errors import ServerError, SettingError
from emocatcher.recognition import settling
from emocatcher.recognition.settling import Settled
from emocatcher.recognition.timeline import Timeline
from emocatcher.server.limits import Limits
from emocatcher.server.profiles import Profiles
from emocatcher.server.worker_process import RefusedError

from .conftest import RATE, Server, same_window, sound, streamed, voice

FEW = ("neutral", "sad", "angry")
# Sent to both routes; none of them makes a profile.
HOSTILE = (
    b"", b"{}", b"null", b"[" * 60_000, b"\xff", b'{"shift": [1e400]}', b'{"shift": ["\\ud800"]}', b'{"format": 1}',
)  # fmt: skip


@pytest.fixture(scope="module")
def recordings() -> list[bytes]:
    return [voice(1.0 + i / 4) for i in range(6)]


@pytest.fixture(scope="module")
def ours(recordings: list[bytes]) -> emocatcher.Recognizer:
    """The local model, settled on the recordings."""
    return emocatcher.load().settle(recordings)


@pytest.fixture
def name(server: Server, recordings: list[bytes]) -> str:
    """A profile's name."""
    return Client(server.url).settle(recordings)


def test_a_profile_is_that_of_a_local_recognizer(
    server: Server, recordings: list[bytes], ours: emocatcher.Recognizer
) -> None:
    files = [(f"{i}.wav", one) for i, one in enumerate(recordings)]
    answer = server.post_files("/v1/settle", *files, ("none.wav", b"no sound")).json
    profile = msgspec.convert(answer["profile"], Settled)
    assert ours.settled is not None
    assert profile.shift == pytest.approx(ours.settled.shift, abs=1e-5)
    assert msgspec.structs.replace(profile, shift=ours.settled.shift) == ours.settled
    assert [(one["path"], one["error"]) for one in answer["failures"]] == [("none.wav", "DecodeError")]
    assert answer["expires_s"] == Limits().profile_s
    assert list(server.spool.iterdir()) == []


def test_answers_with_a_profile_are_those_of_a_settled_recognizer(
    server: Server, name: str, ours: emocatcher.Recognizer
) -> None:
    client, few = Client(server.url), ours.only(FEW)
    plain, theirs = client.predict(voice()), client.predict(voice(), settled=name)
    assert (plain.settled_on, theirs.settled_on) == (0, 6)
    assert theirs.probabilities == pytest.approx(ours.predict(voice()).probabilities, abs=1e-5)
    assert theirs.probabilities != pytest.approx(plain.probabilities, abs=1e-3)
    both = client.predict(voice(), settled=name, emotions=FEW)
    assert both.probabilities == pytest.approx(few.predict(voice()).probabilities, abs=1e-5)
    timeline = client.timeline(voice(5.0), settled=name, emotions=FEW)
    assert (timeline.settled_on, timeline.labels) == (6, FEW)
    assert all(map(same_window, timeline.windows, few.timeline(voice(5.0)).windows))
    samples = sound(5.0)
    windows = list(client.stream([samples], RATE, settled=name, emotions=FEW))
    assert len(windows) == 5
    assert all(map(same_window, windows, streamed(few, samples)))


def test_emotions_restrict_the_answers_without_a_profile(server: Server) -> None:
    answer = server.post("/v1/predict?emotions=Anger,%20sad", voice()).json
    assert list(answer["probabilities"]) == ["sad", "angry"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    assert answer["settled_on"] == 0
    for wrong in ("bored,sad", "sad", ""):
        server.post(f"/v1/predict?emotions={wrong}", voice()).problem(422, "SettingError")
        server.post(f"/v1/timeline?emotions={wrong}", voice()).problem(422, "SettingError")
        files = [("a.wav", voice()), ("b.wav", voice())]
        server.post_files(f"/v1/predict?emotions={wrong}", *files).problem(422, "SettingError")
        with pytest.raises(ServerError) as refused:
            list(Client(server.url).stream([sound(2.0)], RATE, emotions=wrong.split(",")))
        assert refused.value.error == "SettingError"


def test_too_few_recordings_make_no_profile(server: Server, recordings: list[bytes]) -> None:
    before = server.metric("profiles")
    detail = server.post("/v1/settle", recordings[0]).problem(422, "SettingError")
    assert "1 of the recordings have speech" in detail
    files = [(f"{i}", b"no sound") for i in range(9)]
    assert "0 of the recordings" in server.post_files("/v1/settle", *files).problem(422, "SettingError")
    mixed = [("good.wav", recordings[0]), ("empty.wav", b""), *((f"{i}{'x' * 500}.txt", b"no sound") for i in range(9))]
    detail = server.post_files("/v1/settle", *mixed).problem(422, "SettingError")
    reasons = detail.partition(" Not used: ")[2]
    assert reasons.startswith("empty.wav (")
    assert "0xxx" in reasons
    assert "cannot be decoded" in reasons
    assert "good.wav" not in reasons
    assert reasons.endswith("; and 5 more")
    assert len(detail) < 2_000
    for body in HOSTILE:
        assert server.post("/v1/settle", body, "application/json").status in {400, 422}
    assert server.metric("profiles") == before


def test_an_unknown_profile_is_a_404_that_names_the_next_step(server: Server) -> None:
    for unknown in ("unknown", "../x", "%00", "%F0%9F%98%80"):
        for route in ("/v1/predict", "/v1/timeline"):
            detail = server.post(f"{route}?settled={unknown}", voice()).problem(404, "UnknownProfile")
            assert "POST /v1/settle" in detail
        assert server.request("DELETE", f"/v1/settle/{unknown}").status == 404
    server.post(f"/v1/predict?settled={'x' * 65}", voice()).problem(422, "SettingError")
    with pytest.raises(ServerError) as refused:
        list(Client(server.url).stream([sound(2.0)], RATE, settled="unknown"))
    assert refused.value.error == "UnknownProfile"
    assert "POST /v1/settle" in str(refused.value)


def test_a_deleted_profile_is_gone(server: Server, name: str) -> None:
    client = Client(server.url)
    other = client.use_profile(json.dumps(profile_of(server)).encode())
    assert other != name
    client.forget(name)
    assert server.post(f"/v1/predict?settled={name}", voice()).status == 404
    with pytest.raises(ServerError):
        client.forget(name)
    assert client.predict(voice(), settled=other).settled_on == 6


def profile_of(server: Server) -> dict[str, object]:
    files = [("", voice(1.0 + i / 4)) for i in range(6)]
    return dict(server.post_files("/v1/settle", *files).json["profile"])


def test_a_profile_can_be_sent_back(server: Server, ours: emocatcher.Recognizer) -> None:
    name = Client(server.url).use_profile(json.dumps(profile_of(server)).encode())
    again = Client(server.url).predict(voice(), settled=name)
    assert again.probabilities == pytest.approx(ours.predict(voice()).probabilities, abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"shift": [0.0]}, {"shift": [1e9] * 8}, {"onnx_sha256": "0"}, {"labels": ["a"] * 8}, {"n_recordings": 0},
        {"n_recordings": 10**30}, {"other": 1}, {"shift": None}, {"model": "x" * 10_000},
    ],
)  # fmt: skip
def test_a_changed_profile_is_refused(server: Server, change: dict[str, object]) -> None:
    body = json.dumps(profile_of(server) | change).encode()
    server.post("/v1/settle/profile", body, "application/json").problem(422, "SettingError")
    assert server.post("/v1/predict", voice()).status == 200


def test_what_is_no_profile_is_refused(server: Server) -> None:
    before, deaths = server.metric("profiles"), server.metric("worker_deaths")
    for body in HOSTILE:
        server.post("/v1/settle/profile", body, "application/json").problem(422, "SettingError")
    server.post("/v1/settle/profile", b" " * 70_000).problem(413, "UploadTooLarge")
    server.post("/v1/settle?settled=x", voice()).problem(422, "SettingError")
    assert server.metric("profiles") == before
    assert server.metric("worker_deaths") == deaths


def test_an_access_log_and_the_metrics_contain_no_profiles_name(
    serve: Callable[..., AbstractContextManager[Server]], tmp_path: Path, recordings: list[bytes]
) -> None:
    log = tmp_path / "access.log"
    limits: dict[str, object] = {"recordings": 6, "profiles": 2, "profile_s": 600}
    with serve("--workers", 2, "--access-log", log, limits=limits) as server:
        client = Client(server.url)
        names = [client.settle(recordings) for _ in range(3)]
        assert server.metric("profiles") == 2
        assert server.post(f"/v1/predict?settled={names[0]}", voice()).status == 404
        client.forget(names[1])
        assert {client.predict(voice(), settled=names[2]).settled_on for _ in range(4)} == {6}  # in each worker
        server.post_files("/v1/settle", *[("", voice())] * 7).problem(413, "TooManyRecordings")
        written = log.read_text() + server.get("/metrics").body.decode()
    assert "/v1/settle/{settled}" in written
    assert 'method="DELETE"' in written
    assert not [name for name in names if name in written]


def test_a_servers_own_profile_is_the_default(
    serve: Callable[..., AbstractContextManager[Server]], tmp_path: Path, ours: emocatcher.Recognizer
) -> None:
    assert ours.settled is not None
    settling.write(ours.settled, tmp_path / "room.json")
    with serve("--workers", 1, "--settled", tmp_path / "room.json") as server:
        client = Client(server.url)
        assert client.predict(voice()).probabilities == pytest.approx(ours.predict(voice()).probabilities, abs=1e-5)
        (theirs,), (here,) = client.stream([sound(3.0)], RATE), streamed(ours, sound(3.0))
        assert same_window(theirs, here)
        timeline = msgspec.json.decode(server.post("/v1/timeline", voice(5.0)).body, type=Timeline)
        assert timeline.settled_on == 6
        assert client.predict(voice(), settled="").settled_on == 0
        assert msgspec.convert(client.model()["settled"], Settled) == ours.settled
        files = [("", voice(1.0 + i / 4)) for i in range(6)]
        shift = server.post_files("/v1/settle", *files).json["profile"]["shift"]
        np.testing.assert_allclose(shift, ours.settled.shift, atol=1e-5)  # not on top of the default


def test_a_server_refuses_a_profile_of_another_model(tmp_path: Path, ours: emocatcher.Recognizer) -> None:
    from emocatcher.cli.serve import serve

    assert ours.settled is not None
    settling.write(msgspec.structs.replace(ours.settled, onnx_sha256="0"), tmp_path / "room.json")
    with pytest.raises(SettingError, match="with other weights"):
        serve(settled=tmp_path / "room.json", port=0)


def test_the_client_with_the_most_profiles_loses_its_least_recently_used_one() -> None:
    profiles = Profiles(Limits(profiles=4))
    quiet = profiles.add("quiet", b"q")
    many = [profiles.add("many", b"%d" % i) for i in range(3)]
    profiles.adjust(many[0], None)
    more = [profiles.add("many", b"more") for _ in range(2)]
    assert profiles.n == 4
    kept = {quiet, many[0], *more}
    for name in {quiet, *many, *more}:
        if name in kept:
            assert profiles.adjust(name, FEW).emotions == FEW
        else:
            with pytest.raises(RefusedError, match="there is no profile"):
                profiles.adjust(name, None)
    assert profiles.adjust(quiet, None).profile == b"q"


def test_an_unused_profile_expires() -> None:
    profiles = Profiles(Limits(profile_s=1e-9))
    name = profiles.add("", b"x")
    with pytest.raises(RefusedError, match="not used for long"):
        profiles.adjust(name, None)
    assert profiles.n == 0


def test_names_of_profiles_cannot_be_guessed() -> None:
    profiles = Profiles(Limits())
    names = {profiles.add("", b"x") for _ in range(200)}
    assert len(names) == 200
    assert {len(name) for name in names} == {22}  # 128 bits
    assert len({name[:4] for name in names}) > 190
