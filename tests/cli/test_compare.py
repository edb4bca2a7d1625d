"""`compare`: terminal output, JSON and files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(small_run: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run, the same with another seed, with another preset, and one that separates speakers."""
    root = tmp_path_factory.mktemp("compared")
    changes: dict[str, dict[str, Any]] = {
        "mine-0": {}, "mine-1": {"seed": 1}, "[b]other": {"preset": "other"},
        "apart": {"speakers_shared": False, "protocol": "speakers-2"},
    }  # fmt: skip
    for name, change in changes.items():
        shutil.copytree(small_run.folder, root / name)
        result = root / name / "result.json"
        result.write_text(json.dumps(json.loads(result.read_text()) | change))
    return {name: root / name for name in changes}


def test_it_prints_table_notes_and_tests_and_writes_a_page(
    call: Call, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call("compare", *runs.values())
    assert outcome.code == 0, outcome.err
    header = next(line for line in outcome.out.splitlines() if "mine" in line)
    assert header.split("  ")[0].strip() == ""
    assert header.index("apart") < header.index("mine (2 seeds)")  # runs with separate speakers come first
    assert "[b]other" in header
    shared = next(line for line in outcome.out.splitlines() if "speakers shared" in line)
    assert shared.split()[2:] == ["no", "yes", "yes"]
    assert "±" in outcome.out
    assert "per seed" in outcome.out
    assert "Do not compare these with each other" in outcome.out
    assert "have the same accuracy" in outcome.out
    assert outcome.out.count("Difference not tested in ") == 1
    assert "2 pairs" in outcome.out
    assert outcome.out.endswith("Comparison: comparison.html\n")
    assert "\x1b" not in outcome.out
    files = {f"comparison-{name}.{kind}" for name in ("scores", "reliability") for kind in ("svg", "png")}
    assert {path.name for path in tmp_path.iterdir()} == files | {"comparison.html"}
    again = call("compare", *runs.values())
    assert (again.code, again.out) == (2, "")
    assert "comparison.html' exists already. Give --overwrite" in again.err
    assert call("compare", *runs.values(), "--overwrite").code == 0


@pytest.mark.parametrize("width", [32, 60])
def test_a_narrow_terminal_gets_several_tables(
    call: Call, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("emocatcher.cli.screen._PIPE_WIDTH", width)
    outcome = call("compare", *runs.values(), "--out", tmp_path / "a.html")
    tables = outcome.out.partition("Rates in percent")[0]
    assert max(map(len, tables.splitlines())) <= width
    assert tables.count("speakers shared") >= (2 if width < 60 else 1)
    assert tables.count("stratified-2") == 2


def test_json_is_complete_and_writes_a_page_only_with_out(
    call: Call, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call("compare", runs["mine-0"], runs["mine-1"], runs["apart"], "--json")
    found = json.loads(outcome.out)
    assert not list(tmp_path.iterdir())
    assert [row["name"] for row in found["rows"]] == ["apart", "mine (2 seeds)"]
    assert [row["speakers_shared"] for row in found["rows"]] == ["no", "yes"]
    assert [one["seed"] for one in found["rows"][1]["runs"]] == [0, 1]
    assert set(found) == {"rows", "notes", "pairs", "unpaired"}
    assert call("compare", runs["apart"], "--json", "--out", tmp_path / "x" / "b.html").code == 0
    assert (tmp_path / "x" / "b.html").is_file()


def test_a_single_run_gets_a_table_and_a_note(call: Call, runs: dict[str, Path], tmp_path: Path) -> None:
    outcome = call("compare", runs["apart"], "--out", tmp_path / "one.html")
    assert outcome.code == 0
    assert "One run only" in outcome.out
