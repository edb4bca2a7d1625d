"""Shards are whole or absent, name their rows, and are written when they are due."""

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocatcher.distributed import jobs, shard_writing
from emocatcher.distributed.manifest_rows import Manifest
from emocatcher.distributed.result_folder import NOTE, ResultFolder
from emocatcher.distributed.row_ranges import Rows, cut, left
from emocatcher.distributed.shard_writing import SHARD, ShardWriter
from emocatcher.foundation.errors import OutputError


def answers(rows: Rows) -> dict:
    """The results of some rows, of which every fifth failed."""
    kinds = [None if i % 5 else "audio" for i in range(*rows)]
    return {"": pa.table({"id": [f"c{i}" for i in range(*rows)], "error_kind": pa.array(kinds, pa.string())})}


def test_a_shard_states_its_rows_ids_and_errors(tmp_path):
    folder = ResultFolder(str(tmp_path / "out"))
    written = folder.write(Rows(5, 15), answers(Rows(5, 15)), "id")
    assert folder.done() == [Rows(5, 15)]
    assert folder.facts([Rows(5, 15)]) == [written]
    assert (written.first_id, written.last_id, written.rows, written.errors) == ("c5", "c14", 10, {"audio": 2})
    assert pq.read_table(tmp_path / "out").column("id").to_pylist() == [f"c{i}" for i in range(5, 15)]


@pytest.mark.parametrize("uri", ["file", "memory"])
def test_a_folder_at_a_uri_has_the_same_results(tmp_path, uri):
    folder = ResultFolder(f"file://{tmp_path}/out" if uri == "file" else "memory://shards/out")
    assert (folder.done(), folder.read("_manifest.json")) == ([], None)
    written = folder.write(Rows(0, 4), answers(Rows(0, 4)), "id")
    assert folder.facts(folder.done()) == [written]
    folder.put("_manifest.json", b"{}")
    assert folder.read("_manifest.json") == b"{}"


def test_a_sink_that_refuses_leaves_no_part_of_a_shard(tmp_path):
    (tmp_path / "out").write_text("not a folder")
    for name in ("out", "out/"):
        with pytest.raises(OutputError, match=r"/out/part-0{10}-0{10}\.parquet cannot"):
            ResultFolder(f"{tmp_path}/{name}").write(Rows(0, 1), answers(Rows(0, 1)), "id")
    assert (tmp_path / "out").read_text() == "not a folder"


def test_another_file_with_the_name_of_a_shard_is_refused(tmp_path):
    (tmp_path / "part-0000000000-0000000003.parquet").write_bytes(b"x")
    with pytest.raises(OutputError, match="is not a result of emocatcher"):
        ResultFolder(str(tmp_path)).facts([Rows(0, 4)])


def test_neighbouring_results_become_one_shard_that_ends_at_a_multiple(tmp_path):
    folder = ResultFolder(str(tmp_path))
    writer = ShardWriter(lambda rows, tables: folder.write(rows, tables, "id"))
    n = SHARD + 70
    for rows in sorted(cut([Rows(0, n)], 32), key=lambda rows: rows.first * 7919 % 127):  # in any order
        writer.add(rows, answers(rows))
    writer.flush()
    assert folder.done() == [Rows(0, SHARD), Rows(SHARD, n)]
    assert left(n, folder.done()) == []
    assert pq.read_table(tmp_path).column("id").to_pylist() == [f"c{i}" for i in range(n)]


def test_results_that_wait_for_long_are_written_without_their_neighbours(tmp_path, monkeypatch):
    folder, now = ResultFolder(str(tmp_path)), [0.0]
    monkeypatch.setattr(shard_writing.time, "monotonic", lambda: now[0])
    writer = ShardWriter(lambda rows, tables: folder.write(rows, tables, "id"))
    writer.add(Rows(0, 4), answers(Rows(0, 4)))
    writer.flush_old(2)
    assert folder.done() == [Rows(0, 4)], "the first result can be looked at immediately"
    for first, arrival, too_soon, late in ((8, 10.0, 19.0, 21.0), (16, 1000.0, 1050.0, 2000.0)):
        now[0] = arrival
        writer.add(Rows(first, first + 4), answers(Rows(first, first + 4)))
        now[0] = too_soon
        assert writer.flush_old(2) == []
        now[0] = late
        writer.flush_old(2)
        assert folder.done()[-1] == Rows(first, first + 4)


@pytest.mark.parametrize("state", ["started", "interrupted", "finished"])
def test_a_job_whose_rows_are_all_done_is_finished_without_ray(tmp_path, state):
    pq.write_table(pa.table({"id": [f"c{i}" for i in range(20)], "path": ["x.wav"] * 20}), tmp_path / "m.parquet")
    folder = ResultFolder(str(tmp_path / "out"))
    work = jobs.Work(command="predict", function=dict, model="m", model_version="1", model_hash="h")
    names = [str(tmp_path / "m.parquet")]

    def job() -> jobs.Job:
        return jobs.Job(Manifest(names, "path", "id", None), names, work, folder)

    (note := job().note).state = state
    folder.put(NOTE, msgspec.json.encode(note))
    folder.write(Rows(0, 12), answers(Rows(0, 12)), "id")
    assert not job().is_complete
    folder.write(Rows(12, 20), answers(Rows(12, 20)), "id")
    if state == "finished":
        note.n_done, note.n_failed = 20, 4
        folder.put(NOTE, msgspec.json.encode(note))
    found = job().run("")
    assert (found.state, found.n_done, found.n_failed) == ("finished", 20, 4)
    assert msgspec.json.decode(folder.read(NOTE) or b"", type=jobs.Note) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_hash": "other"}, "was started with model_hash = h, and this is other"),
        ({"settings": {"channels": "left"}}, "was started with settings"),
        ({"limit": 10}, "was started with 20 rows, and the manifest has 10 now"),
        ({"ids": [f"d{i}" for i in range(20)]}, "was started with other rows"),
        ({"overlap": True}, "have rows in common"),
    ],
)
def test_results_of_another_job_are_refused(tmp_path, change, message):
    names, folder = [str(tmp_path / "m.parquet")], ResultFolder(str(tmp_path / "out"))

    def job(ids=None, limit=None, overlap=False, **of_work) -> jobs.Job:
        ids = ids or [f"c{i}" for i in range(20)]
        pq.write_table(pa.table({"id": ids, "path": ["x.wav"] * 20}), names[0])
        if overlap:
            folder.write(Rows(10, 20), answers(Rows(10, 20)), "id")
        facts = {"command": "predict", "model": "m", "model_version": "1", "model_hash": "h", **of_work}
        return jobs.Job(Manifest(names, "path", "id", limit), names, jobs.Work(function=dict, **facts), folder)

    folder.put(NOTE, msgspec.json.encode(job().note))
    folder.write(Rows(0, 12), answers(Rows(0, 12)), "id")
    with pytest.raises(OutputError, match=message):
        job(**change)
