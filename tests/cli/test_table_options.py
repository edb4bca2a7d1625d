"""`--column` and `--id` of tables, without Ray."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MODEL = ("--model", "cabg")


@pytest.fixture
def clips(voices_dir: Path) -> list[str]:
    return [str(path) for path in sorted(voices_dir.rglob("*.wav"))[:3]]


def read(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_ids_of_a_table_are_the_first_column_of_the_result(call, clips, tmp_path, kind):
    given = [*clips[:2], "missing.wav"]
    pq.write_table(pa.table({"Call": [7, 8, 9], "Uri": given}), tmp_path / "m.parquet")
    out = tmp_path / f"o.{kind}"
    words = ["predict", tmp_path / "m.parquet", "--column", "Uri", "--id", "Call", *MODEL, "--out", out]
    assert call(*words).code == 1
    found = read(out)
    assert next(iter(found[0])) == "Call"
    expected = [*clips[:2], str(tmp_path / "missing.wav")]
    assert [(row["Call"], row["path"]) for row in found] == list(zip("789", expected, strict=True))

    # More rows have come.
    pq.write_table(pa.table({"Call": [7, 8, 9, 10], "Uri": [*given, clips[2]]}), tmp_path / "m.parquet")
    assert call(*words, "--resume").code == 1
    assert [row["Call"] for row in read(out)] == ["7", "8", "9", "10"]
    assert "other columns" in call(*words[:4], *MODEL, "--out", out, "--resume").err


def test_columns_of_csv_are_found_in_any_case(call, clips, tmp_path):
    (tmp_path / "m.csv").write_text(f"Call,URI\na,{clips[0]}\n")
    out = tmp_path / "o.csv"
    assert call("predict", tmp_path / "m.csv", "--column", "uri", "--id", "call", *MODEL, "--out", out).code == 0
    assert read(out)[0]["call"] == "a"


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("id,path\n1,a.wav\n1,b.wav\n", [], "id '1' is that of two recordings"),
        ("id,path\n1,a.wav\n2,a.wav\n", [], "is there twice, with two ids"),
        ("id,path\n,a.wav\n", [], "a.wav has no id"),
        ("id,path\n1,a.wav\n", ["--column", "uri"], "has no column 'uri', which names the recordings"),
        ("key,path\n1,a.wav\n", [], "has no column 'id', which has their ids"),
        ("id,path\n1,a.wav\n", ["--out", "o.jsonl"], "needs a table with columns"),
        ("id,path\n1,a.wav\n", ["x.wav"], "'x.wav' is none"),
        ("path,emotion\na.wav,sad\n", ["--id", "emotion"], "has a column 'emotion' already"),
    ],
)
def test_wrong_columns_and_ids_are_refused(call, tmp_path, monkeypatch, table, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").write_text(table)
    outcome = call("predict", "m.csv", "--id", "id", *MODEL, "--out", "o.csv", *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]
