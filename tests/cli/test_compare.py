"""`emocatcher compare`: what stands on the terminal, in the JSON and on the disk."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(small_run: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run, another seed of it, another preset, and one that separates speakers."""
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


def test_a_table_the_notes_the_tests_and_a_page(
    call: Call, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = call("compare", *runs.values())
    assert said.code == 0, said.err
    header = next(line for line in said.out.splitlines() if "mine" in line)
    assert header.split("  ")[0].strip() == ""
    assert header.index("apart") < header.index("mine (2 seeds)")  # speakers apart first
    assert "[b]other" in header
    shared = next(line for line in said.out.splitlines() if "speakers shared" in line)
    assert shared.split()[2:] == ["no", "yes", "yes"]
    assert "±" in said.out
    assert "single seeds" in said.out
    assert "Do not compare these with each other" in said.out
    assert "have the same accuracy" in said.out
    assert said.out.count("Not tested: ") == 1
    assert "2 pairs" in said.out
    assert said.out.endswith("Comparison: comparison.html\n")
    assert "\x1b" not in said.out
    files = {f"comparison-{name}.{kind}" for name in ("scores", "reliability") for kind in ("svg", "png")}
    assert {path.name for path in tmp_path.iterdir()} == files | {"comparison.html"}
    again = call("compare", *runs.values())
    assert (again.code, again.out) == (2, "")
    assert "comparison.html' exists already. Give --overwrite" in again.err
    assert call("compare", *runs.values(), "--overwrite").code == 0


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_gets_the_columns_in_parts(
    call: Call, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("emocatcher.cli.screen._PIPE_WIDTH", width)
    said = call("compare", *runs.values(), "--out", tmp_path / "a.html")
    tables = said.out.partition("Rates in percent")[0]
    assert max(map(len, tables.splitlines())) <= width
    assert tables.count("speakers shared") >= (2 if width < 80 else 1)
    assert tables.count("stratified-2") == 2


def test_json_is_everything_and_writes_nothing_unless_asked(
    call: Call, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = call("compare", runs["mine-0"], runs["mine-1"], runs["apart"], "--json")
    found = json.loads(said.out)
    assert not list(tmp_path.iterdir())
    assert [row["name"] for row in found["rows"]] == ["apart", "mine (2 seeds)"]
    assert [row["speakers_shared"] for row in found["rows"]] == ["no", "yes"]
    assert [one["seed"] for one in found["rows"][1]["runs"]] == [0, 1]
    assert set(found) == {"rows", "notes", "pairs", "unpaired"}
    assert call("compare", runs["apart"], "--json", "--out", tmp_path / "x" / "b.html").code == 0
    assert (tmp_path / "x" / "b.html").is_file()


def test_one_run_alone_is_shown_and_told_so(call: Call, runs: dict[str, Path], tmp_path: Path) -> None:
    said = call("compare", runs["apart"], "--out", tmp_path / "one.html")
    assert said.code == 0
    assert "One run only" in said.out
