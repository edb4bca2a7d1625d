"""Manifests are read a few rows at a time, and wrong ones are refused before anything is recognised."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocatcher.distributed.manifest_rows import Manifest
from emocatcher.distributed.row_ranges import Rows
from emocatcher.foundation.errors import ManifestError

N = 20


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, list[str]]:
    """The same rows in each form of a manifest."""
    folder = tmp_path_factory.mktemp("manifests")
    rows = {"call": [f"c{i}" for i in range(N)], "uri": [f"{i}.wav" for i in range(N)]}
    whole = pa.table(rows)
    pq.write_table(whole, folder / "m.parquet", row_group_size=6)
    lines = [f"{call},{uri}" for call, uri in zip(*rows.values(), strict=True)]
    (folder / "m.csv").write_text("\n".join(["call,uri", *lines]))
    objects = [json.dumps({"call": call, "uri": uri}) for call, uri in zip(*rows.values(), strict=True)]
    (folder / "m.jsonl").write_text("\n".join(objects))
    (folder / "many" / "b").mkdir(parents=True)
    pq.write_table(whole.slice(0, 7), folder / "many" / "1.parquet")
    pq.write_table(whole.slice(7), folder / "many" / "b" / "2.parquet")
    pq.write_table(whole, folder / "many" / "_left.parquet")
    return {
        "parquet": [str(folder / "m.parquet")],
        "csv": [str(folder / "m.csv")],
        "jsonl": [str(folder / "m.jsonl")],
        "folder": [str(folder / "many")],
        "several": [str(folder / "many" / "1.parquet"), str(folder / "many" / "b" / "2.parquet")],
    }


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "folder", "several"])
def test_every_form_of_a_manifest_gives_the_rows_that_are_asked_for(tables, kind):
    manifest = Manifest(tables[kind], "uri", "call", None)
    seen = manifest.see(5)
    assert (seen.n_rows, seen.ids_before) == (N, Manifest(tables["parquet"], "uri", "call", 5).see().ids)
    wanted = [Rows(0, 2), Rows(5, 8), Rows(19, 20)]
    found = list(manifest.parts(wanted))
    assert [rows for rows, _ in found] == wanted
    for rows, part in found:
        assert part.column("call").to_pylist() == [f"c{i}" for i in range(rows.first, rows.end)]
        # A relative name starts at the folder of its own table.
        assert all(Path(name).is_absolute() for name in part.column("uri").to_pylist())
        assert [Path(name).name for name in part.column("uri").to_pylist()] == [f"{i}.wav" for i in range(*rows)]


def test_rows_that_are_done_are_not_read(tables, tmp_path):
    """A Parquet file whose first row group is damaged serves a job that has those rows already."""
    content = bytearray(Path(tables["parquet"][0]).read_bytes())
    group = pq.read_metadata(tables["parquet"][0]).row_group(0)
    start = min(group.column(0).dictionary_page_offset, group.column(0).data_page_offset)
    content[start : start + 8] = b"\xff" * 8
    (damaged := tmp_path / "m.parquet").write_bytes(content)
    manifest = Manifest([str(damaged)], "uri", "call", None)
    assert next(manifest.parts([Rows(7, 9)]))[1].column("call").to_pylist() == ["c7", "c8"]
    with pytest.raises(ManifestError, match="cannot be read as Parquet"):
        next(manifest.parts([Rows(0, 2)]))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", "b", "a", "c", "b"], r"2 of the ids in id occur .*: 'a' in the rows 1, 3; 'b' in the rows 2, 5"),
        (["a", None, "b"], r"m\.parquet, row 2 has no id"),
        (["a", "", "b"], r"m\.parquet, row 2 has no id"),
        ([7, 8, 7], r"1 of the ids in id occur several times: '7' in the rows 1, 3"),
        ([], "has no rows"),
    ],
)  # fmt: skip
def test_ids_that_do_not_tell_rows_apart_are_refused(tmp_path, cells, message):
    table = pa.table({"id": pa.array(cells), "path": pa.array(["x.wav"] * len(cells), pa.string())})
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=message):
        Manifest([str(tmp_path / "m.parquet")], "path", "id", None).see()


def test_the_limit_counts_before_ids_are_compared(tmp_path):
    pq.write_table(pa.table({"id": ["a", "b", "a"], "path": ["x"] * 3}), tmp_path / "m.parquet")
    assert Manifest([str(tmp_path / "m.parquet")], "path", "id", 2).see().n_rows == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.parquet", b"no table", "cannot be read as Parquet"),
        ("m.csv", "id,uri\na,b".encode("utf-16-le")[1:], "cannot be read|not UTF-8|Unknown column"),
        ("m.jsonl", b'{"id": 1', "row 1: not a JSON object"),
        ("m.csv", b"id,uri\n1,2", "Unknown column 'path'. Allowed: id, uri"),
        ("missing.csv", None, "missing.csv cannot be read: No such file"),
        ("missing", None, "no such table or folder"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        Manifest([str(tmp_path / name)], "path", None, None)


def test_tables_with_different_columns_are_refused(tmp_path):
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"path": ["a"], "more": [1]}), tmp_path / "2.parquet")
    with pytest.raises(ManifestError, match=re.escape("differ in the column 'more'")):
        Manifest([str(tmp_path)], "path", None, None)
