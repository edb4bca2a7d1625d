"""The routes of the labelling page, with answers of the worker processes that a test holds back or breaks."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from emocatcher.corpora import manifest
from emocatcher.foundation import csv_cells
from emocatcher.server import app, tasks, worker
from emocatcher.server.labelling import Clip, LabelSession, LabelTable
from emocatcher.server.service import Options, Service
from emocatcher.server.temporary_folder import TemporaryFolder
from emocatcher.server.worker_process import RefusedError

EMOTIONS = ("neutral", "happy", "sad", "angry")
GUESS = {"emotion": "sad", "probability": 0.625}


class Workers:
    """Answers each task at once, or with `held` only when it is released."""

    def __init__(self) -> None:
        self.held = False
        self.predicted: list[tasks.Predict] = []
        self.read: list[tasks.ReadClip] = []
        self._waiting: list[asyncio.Future[bytes]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        pass

    def submit(self, task: tasks.Task, _: float) -> asyncio.Future[bytes]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if isinstance(task, tasks.Predict):
            self.predicted.append(task)
            if self.held:
                self._waiting.append(answer)
            else:
                answer.set_result(json.dumps(GUESS).encode())
            return answer
        assert isinstance(task, tasks.ReadClip)
        self.read.append(task)
        if "broken" in task.path:
            answer.set_exception(RefusedError("DecodeError", "cannot be decoded"))
        else:
            answer.set_result(b"RIFF")
        return answer

    def release(self) -> None:
        async def answer() -> None:
            for one in self._waiting:
                one.set_result(json.dumps(GUESS).encode())

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(answer(), self._loop).result(10)


class Labelling:
    """An open session of labelling."""

    def __init__(self, client: TestClient, workers: Workers, out: Path, session: LabelSession) -> None:
        self.client, self.workers, self.out, self.session = client, workers, out, session

    def rows(self) -> list[dict[str, str]]:
        with self.out.open(newline="") as file:
            return list(csv.DictReader(file))

    def put(self, number: int, label: str | None, note: str = "") -> Any:
        return self.client.put(f"/v1/label/clips/{number}", json={"label": label, "note": note})

    def listen(self, number: int) -> Any:
        return self.client.get(f"/v1/label/clips/{number}/audio")

    def problem(self, answer: Any, status: int) -> str:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return str(answer.json()["detail"])


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    (tmp_path / "clips").mkdir()
    names = ("03-01-05-angry.wav", "b.m4a", "broken.wav", "d.wav")
    for name in names:
        (tmp_path / "clips" / name).touch()
    return [Clip(tmp_path / "clips" / name, f"speaker {i % 2}") for i, name in enumerate(names)]


@pytest.fixture
def labelling(clips: list[Clip], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Labelling]:
    """Four clips, the third of which cannot be read; the mark's arguments are the session's labels and options."""
    given = getattr(request, "param", {})
    labels, model_labels = given.pop("labels", EMOTIONS), given.pop("model_labels", (*EMOTIONS, "calm"))
    out = tmp_path / "my.csv"
    with LabelTable(out, "anna") as table:
        session = LabelSession(clips, table, labels, "my.csv", model_labels, given.pop("channels", "mix"))
        service = Service(Options(labelling=session, **given), TemporaryFolder())
        workers: Any = Workers()
        service.pool = workers
        with TestClient(app.create(service), base_url="http://localhost") as client:
            yield Labelling(client, workers, out, session)


def test_nothing_reveals_guess_or_name_before_the_label(labelling: Labelling) -> None:
    sound = labelling.listen(1)
    described = labelling.client.get("/v1/label")
    assert labelling.workers.predicted, "the guess is made while the listener listens"
    refused = labelling.client.get("/v1/label/clips/1/guess")
    assert "after the clip has a label" in labelling.problem(refused, 409)
    assert described.json()["clips"] == [{"decided": False}] * 4
    for answer in (sound, described, refused, labelling.client.get("/v1/label/agreement")):
        sent = f"{answer.headers} {answer.text}"
        assert "0.625" not in sent
        assert "03-01-05" not in sent
    assert not labelling.out.exists()
    skipped = labelling.put(1, None)
    assert skipped.json()["guess"] is None
    labelling.problem(labelling.client.get("/v1/label/clips/1/guess"), 409)
    assert labelling.rows()[0]["guess"] == ""
    assert labelling.put(1, "angry").json()["guess"] == GUESS
    assert labelling.client.get("/v1/label/clips/1/guess").json() == GUESS


def test_a_label_is_on_disk_before_the_answer(labelling: Labelling, clips: list[Clip]) -> None:
    for number, label in ((1, "angry"), (4, "sad"), (2, "happy")):
        labelling.listen(number)
        answer = labelling.put(number, label, " two voices ").json()
        assert (answer["label"], answer["note"]) == (label, "two voices")
        row = labelling.rows()[-1]
        assert (row["label"], row["note"], row["listener"]) == (label, "two voices", "anna")
        assert (row["guess"], row["probability"]) == ("sad", "0.6250")
    corpus = manifest.read(labelling.out)
    assert {(one.path, one.emotion, one.speaker) for one in corpus} == {
        (clips[i].path, emotion, clips[i].speaker) for i, emotion in ((0, "angry"), (3, "sad"), (1, "happy"))
    }
    assert not any(Path(row["path"]).is_absolute() for row in labelling.rows())


def test_the_label_does_not_wait_for_the_guess(labelling: Labelling) -> None:
    labelling.workers.held = True
    labelling.listen(1)
    assert labelling.put(1, "angry").json()["guess"] is None
    assert (labelling.rows()[0]["label"], labelling.rows()[0]["guess"]) == ("angry", "")
    labelling.workers.release()
    assert labelling.client.get("/v1/label/clips/1/guess").json() == GUESS
    assert (labelling.rows()[0]["label"], labelling.rows()[0]["guess"]) == ("angry", "sad")


def test_a_guess_that_is_made_later_is_written_without_being_asked_for(labelling: Labelling) -> None:
    labelling.workers.held = True
    labelling.listen(1)
    labelling.put(1, "angry")
    labelling.put(2, None)
    labelling.workers.release()
    assert labelling.client.get("/v1/label").status_code == 200
    assert [row["guess"] for row in labelling.rows()] == ["sad", ""]


def test_a_label_that_is_chosen_after_the_guess_was_seen_does_not_count_as_agreement(labelling: Labelling) -> None:
    labelling.put(1, "sad")
    labelling.put(2, "angry")
    assert labelling.client.delete("/v1/label/clips/2").json() == {"decided": False}
    assert labelling.rows()[1] | {"path": "", "speaker": ""} == dict.fromkeys(labelling.rows()[1], "")
    assert labelling.put(2, "sad").json()["guess"] == GUESS
    assert [(row["label"], row["guess"]) for row in labelling.rows()] == [("sad", "sad"), ("sad", "")]
    found = labelling.client.get("/v1/label/agreement").json()
    assert (found["n"], found["share"], found["labels"], found["guesses"], found["counts"]) == (
        *(1, 1.0, ["sad"], ["sad"], [[1]]),
    )


def test_the_same_request_again_changes_nothing(labelling: Labelling) -> None:
    labelling.put(1, "sad")
    before = labelling.out.read_bytes()
    assert labelling.put(1, "sad").json()["label"] == "sad"
    assert labelling.out.read_bytes() == before


def test_a_label_is_replaced_only_after_it_is_undone(labelling: Labelling) -> None:
    labelling.put(1, "sad")
    assert "has the label 'sad' already" in labelling.problem(labelling.put(1, "happy"), 409)  # from another tab
    assert labelling.rows()[0]["label"] == "sad"
    labelling.put(2, None)
    assert labelling.put(2, "happy").status_code == 200  # a skipped clip is asked again


def test_a_clip_that_cannot_be_played_is_skipped_with_the_reason(labelling: Labelling) -> None:
    assert "annot be decoded" in labelling.problem(labelling.listen(3), 422)
    assert labelling.put(3, None).json()["note"] == "Not played: cannot be decoded"
    labelling.put(4, None)
    assert [(row["label"], row["note"]) for row in labelling.rows()] == [
        ("", "Not played: cannot be decoded"),
        ("", ""),
    ]
    assert labelling.workers.predicted == []
    labelling.put(1, "sad")
    corpus = manifest.read(labelling.out)
    assert ([one.path.name for one in corpus], len(corpus.unlabelled)) == (["03-01-05-angry.wav"], 2)


def test_what_was_decided_is_not_asked_again(labelling: Labelling, clips: list[Clip]) -> None:
    labelling.put(1, "sad")
    labelling.put(2, None)
    labelling.put(4, "happy")
    labelling.client.delete("/v1/label/clips/4")
    assert labelling.session.count() == (1, 1)
    # As read by the next server, which cannot open the table as long as this one has it.
    again = labelling.out.with_name("again.csv")
    again.write_bytes(labelling.out.read_bytes())
    with LabelTable(again) as table:
        described = LabelSession(clips, table, EMOTIONS, "again.csv").describe()
    assert [clip["decided"] for clip in described["clips"]] == [True, True, False, False]
    assert (described["clips"][0]["label"], described["clips"][1]["label"]) == ("sad", None)
    assert described["listener"] == "anna"


def test_a_guess_of_an_earlier_session_counts_as_seen(labelling: Labelling, clips: list[Clip]) -> None:
    labelling.put(1, "sad")
    again = labelling.out.with_name("again.csv")
    again.write_bytes(labelling.out.read_bytes())
    with LabelTable(again) as table:
        session = LabelSession(clips, table, EMOTIONS, "again.csv", EMOTIONS)
        assert session.compare().n == 1
        session.undo(0)
        session.decide(0, "happy", "")
        session.add_guess(0, "happy", 0.5)
        session.decide(1, "happy", "")
        session.add_guess(1, "happy", 0.5)
        assert session.compare().counts == [[1]]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"label": "bored"}', "neutral, happy, sad, angry"),
        (b'{"label": 1}', "not valid"),
        (b"{}", "not valid"),
        (b'{"label": "sad", "guess": "sad"}', "not valid"),
        (b"\xff", "not valid"),
        (b'{"label": "sad", "note": "\\ud800"}', "not valid"),  # half a character
        (json.dumps({"label": "sad", "note": "x" * 2001}).encode(), "2000 characters"),
    ],
)
def test_an_invalid_label_is_refused(labelling: Labelling, body: bytes, word: str) -> None:
    assert word in labelling.problem(labelling.client.put("/v1/label/clips/1", content=body), 422)
    assert not labelling.out.exists()


@pytest.mark.parametrize(
    ("note", "written"),
    [
        ("=1+1", "=1+1"),
        ('a "quoted", note; and more', 'a "quoted", note; and more'),
        ("two\r\nlines\tand \x00\x1b[31m more", "two lines and [31m more"),
        ("\u4f60\u597d", "\u4f60\u597d"),
    ],
)
def test_a_note_of_any_text_is_one_line_in_the_table(labelling: Labelling, note: str, written: str) -> None:
    assert labelling.put(1, "sad", note).json()["note"] == written
    header, row = csv_cells.read_rows(labelling.out.read_text(encoding="utf-8").splitlines())
    assert row[header.index("note")] == written


def test_a_clip_that_is_not_there_is_refused(labelling: Labelling) -> None:
    assert "The last one is 4" in labelling.problem(labelling.put(5, "sad"), 404)
    assert "The last one is 4" in labelling.problem(labelling.listen(10**30), 404)
    labelling.problem(labelling.listen(0), 422)
    labelling.problem(labelling.client.get("/v1/label/clips/one/guess"), 422)
    labelling.problem(labelling.client.put("/v1/label/clips/1", content=b" " * 20_000), 413)


def test_a_label_that_cannot_be_saved_is_not_confirmed(labelling: Labelling) -> None:
    labelling.put(1, "sad")
    labelling.out.write_text("path,label\nclips/d.wav,angry\n")  # as an editor would
    assert "changed by another program" in labelling.problem(labelling.put(2, "happy"), 507)
    assert labelling.out.read_text() == "path,label\nclips/d.wav,angry\n"
    assert labelling.client.get("/v1/label").json()["clips"][1] == {"decided": False}


def test_a_full_disk_loses_nothing(labelling: Labelling) -> None:
    labelling.put(1, "sad")
    before = labelling.out.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), limits[1]))
    try:
        refused = labelling.put(2, "happy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written" in labelling.problem(refused, 507)
    assert labelling.out.read_bytes() == before
    assert labelling.client.get("/v1/label").json()["clips"][1] == {"decided": False}
    assert labelling.put(2, "happy").status_code == 200
    assert [row["label"] for row in labelling.rows()] == ["sad", "happy"]


@pytest.mark.parametrize(
    ("labelling", "emotions"),
    [
        ({}, EMOTIONS),
        ({"labels": ("satisfied", "annoyed")}, None),
        ({"labels": ("happy", "bored")}, None),
    ],
    indirect=["labelling"],
)
def test_the_model_guesses_among_the_listeners_labels_if_it_knows_them_all(
    labelling: Labelling, emotions: tuple[str, ...] | None
) -> None:
    labelling.listen(1)
    assert [task.adjustment.emotions for task in labelling.workers.predicted] == [emotions]


@pytest.mark.parametrize("labelling", [{"channels": "left"}], indirect=True)
def test_only_the_chosen_channel_is_played_and_guessed(labelling: Labelling) -> None:
    labelling.listen(1)
    assert [task.channels for task in (*labelling.workers.read, *labelling.workers.predicted)] == ["left", "left"]
    assert labelling.client.get("/v1/label").json()["channels"] == "left"


@pytest.mark.parametrize("labelling", [{"model_labels": ()}], indirect=True)
def test_no_guess_is_made_without_guesses(labelling: Labelling) -> None:
    labelling.listen(1)
    assert labelling.put(1, "sad").json()["guess"] is None
    assert "--no-guess" in labelling.problem(labelling.client.get("/v1/label/clips/1/guess"), 404)
    assert (labelling.workers.predicted, labelling.rows()[0]["guess"]) == ([], "")


@pytest.mark.parametrize("labelling", [{"tokens": ("secret",)}], indirect=True)
def test_a_token_protects_the_labels(labelling: Labelling) -> None:
    labelling.problem(labelling.put(1, "sad"), 401)
    labelling.client.headers["Authorization"] = "Bearer secret"
    assert labelling.put(1, "sad").status_code == 200


def test_a_page_of_another_site_cannot_write_labels(labelling: Labelling) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PUT"}
    answer = labelling.client.options("/v1/label/clips/1", headers=asked)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
    labelling.problem(labelling.client.get("/v1/label", headers={"Host": "elsewhere.example"}), 421)


def test_the_page_needs_no_other_host_and_no_other_route_is_served(labelling: Labelling) -> None:
    page = labelling.client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert labelling.client.get("/label.css").headers["content-type"].startswith("text/css")
    script = labelling.client.get("/label.js")
    assert script.headers["content-type"].startswith("text/javascript")
    texts = (page.text, script.text, *(labelling.client.get(f"/{name}").text for name in ("label.css", "words.js")))
    links = [
        word for text in texts for word in text.replace("http://www.w3.org/2000/svg", "").split('"') if "//" in word
    ]
    assert not [link for link in links if link.startswith(("http", "//"))]
    assert labelling.client.post("/v1/predict").status_code in {404, 405}
    assert "/v1/label" in labelling.client.get("/openapi.json").json()["paths"]
    assert labelling.client.get("/docs").status_code == 200


def test_the_sound_of_a_channel_is_that_channel_alone(tmp_path: Path) -> None:
    sides = np.sin(np.arange(800)[:, None] * [0.5, 1.0]) / 2
    soundfile.write(tmp_path / "call.wav", sides, 8_000)
    for side, name in enumerate(("left", "right")):
        task = tasks.ReadClip(str(tmp_path / "call.wav"), channels=name)
        sound, _ = soundfile.read(io.BytesIO(worker._wav(task)))
        np.testing.assert_allclose(sound, sides[:, side] - sides[:, side].mean(), atol=1e-4)
