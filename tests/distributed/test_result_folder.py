"""Shards are whole or absent, name their rows, and are written when they are due."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocatcher.distributed import shard_writing
from emocatcher.distributed.result_folder import ResultFolder
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
    with pytest.raises(OutputError, match="cannot be written"):
        ResultFolder(str(tmp_path / "out")).write(Rows(0, 1), answers(Rows(0, 1)), "id")
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
    writer.add(Rows(8, 12), answers(Rows(8, 12)))
    now[0] = 50.0
    assert writer.flush_old(2) == []
    now[0] = 1000.0
    writer.flush_old(2)
    assert folder.done() == [Rows(0, 4), Rows(8, 12)]
