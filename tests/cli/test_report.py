"""`emocatcher report` of a table of predictions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROBABILITIES = {"sad": 0.75, "calm": 0.25}
ROW = {"path": "a.wav", "emotion": "sad", "probability": 0.75, "probabilities": PROBABILITIES, "abstain": False}
ROW |= {"warnings": [], "model": "made", "model_version": "1"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "calls.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return path


def test_a_table_gets_a_page_next_to_it(call: Callable[..., Any], table: Path) -> None:
    done = call("report", table)
    page = table.with_name("calls.html")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "1 recording: 1 answered, 0 abstained, 0 failed. Most frequent answers: sad 100%.",
        f"Report: {page}",
    ]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    again = call("report", table)
    assert again.code == 2
    assert "exists already. Give --overwrite" in again.err


def test_json_prints_the_numbers_and_writes_no_page(call: Callable[..., Any], table: Path) -> None:
    done = call("report", table, "--json", "--by", "folder")
    assert json.loads(done.out)["emotions"]["sad"] == {"n_answered": 1, "n_abstained": 0, "mean_probability": 0.75}
    assert [path.name for path in table.parent.iterdir()] == ["calls.jsonl"]


@pytest.mark.parametrize("option", ["--by=x", "--time=x", "--out=x.html", "--overwrite", "--json"])
def test_options_of_tables_are_refused_for_a_run(call: Callable[..., Any], tmp_path: Path, option: str) -> None:
    done = call("report", tmp_path, option)
    assert done.code == 2
    assert "is a run folder" in done.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.html", "is not a table that can be read"),
        ("gone.csv", "no such file"),
        ("a", "is not a table that can be read"),
        ("gone", "gone"),
    ],
)
def test_what_is_neither_a_run_nor_a_table_is_refused(
    call: Callable[..., Any], tmp_path: Path, name: str, message: str
) -> None:
    for existing in ("a", "a.html"):
        (tmp_path / existing).write_text("words", encoding="utf-8")
    done = call("report", tmp_path / name)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
