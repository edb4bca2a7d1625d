"""Options of `--engine ray` that make no sense together are refused with one line, before anything is done."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def manifest(tmp_path):
    pq.write_table(pa.table({"path": ["a.wav"], "id": ["1"]}), tmp_path / "m.parquet")
    return str(tmp_path / "m.parquet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "spark", "--out", "o"], "'spark' is not an engine. Allowed: ray"),
        (["--address", "auto", "--out", "o.csv"], "Give --engine ray too"),
        (["--num-cpus", "2"], "Give --engine ray too"),
        (["--batch", "2"], "Give --engine ray too"),
        (["--limit", "2"], "Give --engine ray too"),
        (["--engine", "ray"], "needs a folder for the results. Give --out FOLDER"),
        (["--engine", "ray", "--out", "o.parquet"], "is the name of a table. Give a folder"),
        (["--engine", "ray", "--out", "o", "--workers", "2"], "cannot be used with --engine ray. Give --num-cpus"),
        (["--engine", "ray", "--out", "o", "--settle"], "Run `emocatcher settle` first"),
        (["--engine", "ray", "--out", "o", "--format", "csv"], "The results are Parquet"),
        (["--engine", "ray", "--out", "o", "--unordered"], "Rows are in the manifest's order"),
        (["--engine", "ray", "--out", "o", "--resume", "--overwrite"], "Give only one of them"),
        (["--engine", "ray", "--out", "o", "--channels", "each"], "give mix or one channel"),
        (["--engine", "ray", "--out", "o", "--emotions", "happy,bored"], "'bored' is not among the emotions"),
        (["--engine", "ray", "--out", "o", "--abstain-below", "2"], "Give a probability, 0 to 1"),
        (["--engine", "ray", "--out", "o", "--column", "uri"], "Unknown column 'uri'. Allowed: path, id"),
        (["--engine", "ray", "--out", "https://host/o"], "a web server cannot be written to"),
    ],
)
def test_predict_refuses_options_that_do_not_fit(call, manifest, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    outcome = call("predict", manifest, *options)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "--out", "o.json"], "Give --engine ray too"),
        (["--engine", "ray", "--out", "o", "--plot", "p.svg"], "Draw the recordings that you choose"),
        (["--engine", "ray", "--out", "o", "--format", "table"], "Allowed: parquet"),
        (["--engine", "ray", "--out", "o", "--format", "textgird"], "Did you mean 'textgrid'?"),
        (["--engine", "ray", "--out", "o", "--hop", "9"], "The hop is 9 s"),
    ],
)
def test_timeline_refuses_options_that_do_not_fit(call, manifest, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    outcome = call("timeline", manifest, *options)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet"]


def test_tables_and_recordings_are_not_mixed(call, manifest, tmp_path):
    outcome = call("predict", manifest, "a.wav", "--engine", "ray", "--out", str(tmp_path / "o"))
    assert outcome.code == 2
    assert "Give only tables, or only recordings" in outcome.err
