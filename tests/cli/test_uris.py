"""`predict` and `timeline` with URIs: recordings, folders, lists and tables in a store or on a web server."""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher.foundation import uris
from emocatcher.foundation.errors import OutputError
from emocatcher.foundation.uris import attempts
from emocatcher.recognition import batch
from emocatcher.recognition.batch import remote_tables
from emocatcher.recognition.prediction import Failure

STORES = ["memory://", pytest.param("s3://calls", marks=pytest.mark.slow)]
KINDS = pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("json", "jsonl", "parquet"))]
)
SECRET = "hush-hush"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(attempts, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture(params=STORES)
def store(request, monkeypatch):
    """A place in a store; S3's server takes a second to start."""
    if request.param.startswith("s3"):
        request.getfixturevalue("s3_server")
    return f"{request.param}/{request.node.name.split('[')[0]}"


@pytest.fixture(scope="session")
def model(small_run) -> Path:
    return small_run.folder / "fold_0" / "last"


@pytest.fixture(scope="session")
def clips(voices) -> list[Path]:
    return [utterance.path for utterance in voices.utterances[:4]]


@pytest.fixture(scope="session")
def expected(model, clips):
    return list(emocatcher.load(model).predict_many(clips))


@pytest.fixture
def put(tmp_path):
    def put(uri: str, content: bytes) -> str:
        uris.write_bytes(uri, content)
        return uri

    return put


def content_of(uri: str, folder: Path) -> bytes:
    uris.download(uri, folder / "copy")
    return (folder / "copy").read_bytes()


def rows_of(uri: str, folder: Path) -> list[dict[str, str]]:
    if uri.endswith(".parquet"):
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(io.BytesIO(content_of(uri, folder))).to_pylist()
    if uri.endswith(".jsonl"):
        return [json.loads(line) for line in content_of(uri, folder).splitlines()]
    return list(csv.DictReader(io.StringIO(content_of(uri, folder).decode())))


def test_a_recording_anywhere_gives_the_answer_of_the_file(call, store, web, put, model, clips, expected):
    content = clips[0].read_bytes()
    for uri in (put(f"{store}/a b.wav", content), web.add("/a b.wav", content), clips[0].as_uri()):
        outcome = call("predict", uri, "--model", model)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.splitlines()[0] == uri
        prediction = emocatcher.load(model).predict(uri)
        assert prediction.path == uri
        assert prediction.probabilities == expected[0].probabilities


def test_a_folder_in_a_store_is_searched_like_one_of_this_computer(
    call, store, put, model, clips, tmp_path, monkeypatch
):
    names = ["b.wav", "sub/a.wav", "sub/.hidden.wav", ".dot/x.wav", "notes.txt", "sub/deep/C.WAV"]
    for name in names:
        put(f"{store}/{name}", clips[0].read_bytes())
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    notes: dict[str, list[str]] = {"local": [], "remote": []}
    local = batch.expand([str(tmp_path)], notes["local"].append)
    assert len(local) == 3
    for folder in (store, f"{store}/"):
        notes["remote"].clear()
        assert batch.expand([folder], notes["remote"].append) == [
            f"{store}/{Path(name).relative_to(tmp_path)}" for name in local
        ]
        told = [note.replace(f"{store}//", f"{store}/").replace(f"{store}/:", f"{store}:") for note in notes["remote"]]
        assert told == [note.replace(str(tmp_path), store) for note in notes["local"]]
    assert batch.expand([f"{store}/**/*.wav"]) == [f"{store}/b.wav", f"{store}/sub/a.wav"]
    assert batch.expand([f"{store}/sub*"]) == [f"{store}/sub/a.wav", f"{store}/sub/deep/C.WAV"]
    outcome = call("predict", f"{store}/", "--model", model, "--format", "jsonl")
    assert [json.loads(line)["path"] for line in outcome.out.splitlines()] == batch.expand([store])


def test_a_list_in_a_store_names_files_beside_it_and_other_uris(store, put, clips, web, tmp_path):
    other = web.add("/b.wav", b"")
    names = ["a#1 b?.wav", "sub/é.wav", other, "s3://elsewhere/c.wav"]
    wanted = [f"{store}/a#1 b?.wav", f"{store}/sub/é.wav", other, "s3://elsewhere/c.wav"]
    put(f"{store}/list.txt", "\n".join(names).encode())
    put(f"{store}/list.csv", b"path\n" + "".join(f"{name}\n" for name in names).encode())
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.table({"path": names}), tmp_path / "list.parquet")
    uris.write(f"{store}/list.parquet", tmp_path / "list.parquet")
    for kind in ("txt", "csv", "parquet"):
        assert batch.expand([f"{store}/list.{kind}"]) == wanted
    (tmp_path / "list.csv").write_text(f"path\n{other}\nsub/a.wav\n")
    for name in (str(tmp_path / "list.csv"), (tmp_path / "list.csv").as_uri()):
        assert batch.expand([name]) == [other, str(tmp_path / "sub" / "a.wav")]
    listed = web.add("/list.csv", b"path\na b.wav\n")
    assert batch.expand([f"{listed}?token={SECRET}"]) == [f"{web.uri}/a%20b.wav"]


def test_a_faulty_list_is_named_by_its_uri(call, store, put):
    for name, content in (("empty.txt", b""), ("none.csv", b"file\na.wav\n"), ("broken.parquet", b"no")):
        outcome = call("predict", put(f"{store}/{name}", content))
        assert outcome.code == 2
        assert f"{store}/{name}" in outcome.err
        assert "tmp" not in outcome.err


@KINDS
def test_a_table_in_a_store_is_the_local_one(call, store, model, clips, tmp_path, kind):
    pytest.importorskip("pyarrow")
    options = ("--model", model, "--out")
    assert call("predict", *clips, *options, tmp_path / f"out.{kind}").code == 0
    outcome = call("predict", *clips, *options, f"{store}/out.{kind}")
    assert (outcome.code, outcome.out) == (0, "")
    assert content_of(f"{store}/out.{kind}", tmp_path) == (tmp_path / f"out.{kind}").read_bytes()
    assert not remote_tables.local_path(f"{store}/out.{kind}").parent.exists()
    assert "exists: give --overwrite" in call("predict", *clips, *options, f"{store}/out.{kind}").err
    assert call("predict", clips[0], *options, f"{store}/out.{kind}", "--overwrite").code == 0
    resumed = call("predict", *clips, *options, f"{store}/out.{kind}", "--resume")
    assert resumed.code == 0
    if kind != "json":
        assert [row["path"] for row in rows_of(f"{store}/out.{kind}", tmp_path)] == [str(clip) for clip in clips]


@KINDS
def test_an_interrupted_table_is_absent_and_can_be_resumed(model, clips, tmp_path, kind):
    pytest.importorskip("pyarrow")
    recognizer, uri = emocatcher.load(model), f"memory://interrupted/out.{kind}"
    options = {"kind": kind, "out": uri, "stream": io.BytesIO()}

    def stop(done, _):
        if done.n == 2:
            raise KeyboardInterrupt

    names = [str(clip) for clip in clips]
    with pytest.raises(KeyboardInterrupt):
        batch.run(recognizer, names, on_row=stop, **options)
    assert uris.kind_of(uri) == ""
    with pytest.raises(OutputError, match=f"^{uri} is unfinished: give --resume"):
        batch.run(recognizer, names, **options)
    done = batch.run(recognizer, names, resume=True, **options)
    assert (done.n, done.n_before) == (4, 2)
    if kind != "json":
        assert [row["path"] for row in rows_of(uri, tmp_path)] == names
    assert not remote_tables.local_path(uri).parent.exists()


def test_a_table_that_cannot_be_written_is_kept_and_written_later(model, clips, tmp_path, monkeypatch):
    recognizer, uri = emocatcher.load(model), "memory://full/out.csv"
    options = {"kind": "csv", "out": uri, "stream": io.BytesIO()}
    monkeypatch.setenv(attempts.RETRIES, "0")

    def is_full(*_):
        raise OSError(28, f"no space {SECRET}")

    with monkeypatch.context() as patch:
        patch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", is_full)
        with pytest.raises(
            OutputError, match="kept on this computer: fix the problem, then rerun with --resume"
        ) as found:
            batch.run(recognizer, [str(clips[0])], **options)
        assert SECRET not in str(found.value)
    assert uris.kind_of(uri) == ""
    with pytest.raises(OutputError, match="give --resume to write it"):
        batch.run(recognizer, [str(clips[0])], **options)
    assert batch.run(recognizer, [str(clips[0])], resume=True, **options).n_before == 1
    assert len(rows_of(uri, tmp_path)) == 1


def test_a_place_that_cannot_hold_a_table_is_refused_before_anything_is_recognised(call, clips, model, web, put):
    put("memory://refused/folder/a.wav", b"")
    for place, reason in (
        (f"{web.uri}/out.csv?token={SECRET}", "cannot be written to"),
        ("memory://refused/folder", "Give --format"),
        (f"s3://key:{SECRET}@bucket/out.csv", "has a user or a password"),
    ):
        outcome = call("predict", *clips, "--model", model, "--out", place)
        assert outcome.code == 2
        assert reason in outcome.err
        assert SECRET not in outcome.err + outcome.out
    assert (
        "is a folder"
        in call("predict", *clips, "--model", model, "--out", "memory://refused/folder", "--format", "csv").err
    )


def test_a_presigned_uri_is_shown_and_written_without_its_query(call, web, model, clips, tmp_path):
    secret_uris = [
        f"{web.add(f'/{i}.wav', clip.read_bytes())}?X-Amz-Signature={SECRET}{i}" for i, clip in enumerate(clips)
    ]
    secret_uris += [f"{web.uri}/none.wav?X-Amz-Signature={SECRET}", f"http://me:{SECRET}@127.0.0.1:9/a.wav"]
    (tmp_path / "list.txt").write_text("\n".join(secret_uris))
    out = tmp_path / "out.csv"
    arguments = ("predict", tmp_path / "list.txt", "--model", model)
    for extra in (("--out", out), ("--resume", "--out", out), ()):
        outcome = call(*arguments, *extra)
        assert outcome.code == 1
        assert SECRET not in outcome.out + outcome.err + out.read_text()
    rows = rows_of(out.as_uri(), tmp_path)
    shown = [uris.redacted(uri) for uri in secret_uris]
    assert [row["path"] for row in rows] == shown
    assert [row["error"] for row in rows] == ["", "", "", "", "DecodeError", "UnreachableError"]
    assert call("predict", secret_uris[0], "--model", model).out.splitlines()[0] == shown[0]
    for arguments in (
        ["timeline", secret_uris[0]],
        ["timeline", secret_uris[0], "--format", "csv"],
        ["timeline", secret_uris[4]],
    ):
        outcome = call(*arguments, "--model", model)
        assert SECRET not in outcome.out + outcome.err


def test_a_timeline_is_read_from_a_uri_and_written_to_one(call, store, put, model, clips, tmp_path):
    uri = put(f"{store}/a.wav", clips[0].read_bytes())
    for out in (f"{store}/out.csv", tmp_path / "out.csv", (tmp_path / "other.csv").as_uri()):
        outcome = call("timeline", uri, "--model", model, "--out", out)
        assert outcome.code == 0, outcome.err
    assert rows_of(f"{store}/out.csv", tmp_path)[0]["path"] == uri
    assert content_of(f"{store}/out.csv", tmp_path) == (tmp_path / "out.csv").read_bytes()
    assert (tmp_path / "other.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    assert "exists already" in call("timeline", uri, "--model", model, "--out", f"{store}/out.csv").err
    assert call("timeline", uri, "--model", model, "--out", f"{store}/out.csv", "--overwrite").code == 0


@pytest.mark.slow
def test_a_long_recording_of_two_channels_is_transferred_once(web, model, clips):
    samples, rate = soundfile.read(clips[0])
    long = np.tile(samples, 8)
    sink = io.BytesIO()
    soundfile.write(sink, np.stack([long, long[::-1]], axis=1), rate, format="WAV")
    uri, recognizer = web.add("/long.wav", sink.getvalue()), emocatcher.load(model)
    local = recognizer.predict_each(sink.getvalue())
    found = recognizer.predict_each(uri)
    assert web.asked["/long.wav"] == 1
    assert [one.shares for one in found] == [one.shares for one in local]
    assert {one.path for one in found} == {uri}
    assert recognizer.predict(uri).shares == recognizer.predict(sink.getvalue()).shares
    assert web.asked["/long.wav"] == 2
    turns = [(0.0, 3.0, "A"), (3.0, 6.0, "B")]
    assert [one.path for one in recognizer.timeline_by_speaker(uri, turns)] == [uri, uri]
    assert web.asked["/long.wav"] == 3


def test_many_recordings_of_a_web_server_with_faults_each_get_an_answer(web, model, clips, expected, monkeypatch):
    content = clips[0].read_bytes()
    monkeypatch.setenv(attempts.RETRIES, "1")
    monkeypatch.setenv(attempts.TIMEOUT, "0.3")
    faults = ["", "every-1", "half-1", "half-9", "status-404", "status-403", "no-length", "hang"]
    sources = [web.add(f"/{i}.wav", content, fault) for i, fault in enumerate(faults)]
    found = list(emocatcher.load(model).predict_many(sources))
    assert [one.path for one in found] == sources
    errors = [one.error if isinstance(one, Failure) else "" for one in found]
    broken = "UnreachableError"
    assert errors == ["", broken, "", broken, "DecodeError", broken, "", broken]
    assert [web.asked[f"/{i}.wav"] for i in range(len(faults))] == [1, 2, 2, 2, 1, 1, 1, 2]
    assert found[2].probabilities == expected[0].probabilities


@pytest.mark.slow
def test_commands_that_need_files_of_this_computer_refuse_uris(call, put, clips, tmp_path):
    put("memory://unlabelled/a.wav", clips[0].read_bytes())
    for arguments in (
        ["adapt", "memory://unlabelled/", "--unlabelled", "--to", tmp_path / "model"],
        ["label", "memory://unlabelled/", "--out", tmp_path / "labels.csv"],
    ):
        outcome = call(*arguments)
        assert outcome.code == 2
        assert "needs files on this computer" in outcome.err


@pytest.mark.slow
def test_a_killed_batch_leaves_nothing_in_the_store_and_is_resumed(s3_server, process, model, clips, tmp_path):
    import subprocess

    uri, names = "s3://calls/killed/out.csv", [str(clip) for clip in clips * 20]
    (tmp_path / "list.txt").write_text("\n".join(names))
    command = ["predict", str(tmp_path / "list.txt"), "--model", str(model), "--out", uri]
    running = subprocess.Popen([sys.executable, "-m", "emocatcher", *command], stderr=subprocess.DEVNULL)
    path = remote_tables.local_path(uri)
    for _ in range(600):
        if path.exists() and path.read_bytes().count(b"\n") > random.randint(3, 8):
            break
        time.sleep(0.02)
    running.kill()
    running.wait(30)
    assert 0 < path.read_bytes().count(b"\n") < 81
    assert uris.kind_of(uri) == ""
    assert process([*command, "--resume"]).code == 0
    assert [row["path"] for row in rows_of(uri, tmp_path)] == names


@pytest.mark.slow
def test_a_store_that_fails_or_hangs_is_tried_again_within_the_limits(s3_server, put, model, clips, monkeypatch):
    """A server between, which answers every fifth request with 503, or never."""
    import http.server
    import urllib.request

    state = {"n": 0, "hangs": False}
    released = threading.Event()

    class Between(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            state["n"] += 1
            if state["hangs"]:
                released.wait(30)
                return
            if state["n"] % 5 == 0:
                self.send_error(503)
                return
            request = urllib.request.Request(s3_server + self.path, headers=dict(self.headers))
            with urllib.request.urlopen(request) as answer:
                content = answer.read()
                self.send_response(answer.status)
                for name in ("Content-Range", "ETag", "Content-Type"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

    sources = [put(f"s3://calls/faulty/{i}.wav", clips[0].read_bytes()) for i in range(20)]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        recognizer = emocatcher.load(model)
        assert not [one for one in recognizer.predict_many(sources) if isinstance(one, Failure)]
        assert state["n"] > 20
        state["hangs"] = True
        monkeypatch.setenv(attempts.RETRIES, "1")
        monkeypatch.setenv(attempts.TIMEOUT, "0.5")
        before = time.monotonic()
        (failure,) = recognizer.predict_many(sources[:1])
        assert failure.error == "UnreachableError"
        assert time.monotonic() - before < 5
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        fsspec.get_filesystem_class("s3").clear_instance_cache()
