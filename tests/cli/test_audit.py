"""`audit` on demand, and the audit that comes before a training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture
def leaking(trained: Any) -> Path:
    """The user's table with a speaker of the test part in training as well."""
    head, *lines = trained.table.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.endswith(",01,test"))
    lines[at] = lines[at].replace(",01,test", ",01,train")
    table = trained.table.with_name("leaking.csv")
    table.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return table


def test_it_leaves_with_0_where_nothing_leaks(call: Call, trained: Any) -> None:
    said = call("audit", "--corpus", trained.table, "--protocol", "manifest")
    assert said.code == 0
    assert "112 recordings in 1 fold, 112 of them with a fingerprint" in said.out
    assert "Audit: no leak found" in said.out
    assert "\x1b" not in said.out + said.err


def test_it_leaves_with_1_where_something_does(call: Call, leaking: Path) -> None:
    said = call("audit", "--corpus", leaking, "--protocol", "manifest")
    assert said.code == 1
    assert "Audit: speakers shared" in said.out
    assert "- same-speaker: 1 speaker is on both sides: 01" in said.out
    assert "Traceback" not in said.err


def test_it_leaves_with_2_where_it_cannot_tell(call: Call, trained: Any) -> None:
    assert call("audit", "--corpus", trained.table, "--protocol", "emobox-6").code == 2
    assert call("audit", "--corpus", "no-such.csv", "--protocol", "manifest").code == 2
    assert call("audit", "--corpus", trained.table, "--protocol", "manifest", "--set", "training.no=1").code == 2


def test_the_json_has_it_all(call: Call, leaking: Path) -> None:
    said = call(
        "audit", "--corpus", leaking, "--protocol", "manifest", "--json", "--set", "training.selection=best-test"
    )
    assert said.code == 1
    found = json.loads(said.out)
    assert [leak["kind"] for leak in found["leaks"]] == ["same-speaker", "selection-on-test"]
    assert found["leaks"][0]["speakers"] == ["01"]
    assert (found["corpus"], found["protocol"], found["n_folds"], found["notes"]) == ("leaking", "manifest", 1, [])


def test_the_help_tells_the_exit_codes(call: Call) -> None:
    said = call("audit", "--help")
    assert "Leaves with 0" in said.out
    assert "with 1" in said.out


def test_a_training_is_audited_and_its_report_stamped(trained: Any) -> None:
    assert "audit: 112/112" in trained.said.err
    assert "Audit: no leak found" in trained.said.err
    assert "Audit: no leak found" in trained.said.out
    assert json.loads((trained.folder / "audit.json").read_text())["leaks"] == []
    assert "Audit: no leak found" in (trained.folder / "report.html").read_text(encoding="utf-8")


def test_strict_refuses_before_anything_is_written(call: Call, leaking: Path, tmp_path: Path) -> None:
    said = call("train", "--corpus", leaking, "--protocol", "manifest", "--out", tmp_path / "run", "--strict")
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("Error: Audit: speakers shared. --strict refuses")
    assert said.out == ""
    assert not (tmp_path / "run").exists()


def test_strict_without_an_audit_makes_no_sense(call: Call, leaking: Path, tmp_path: Path) -> None:
    said = call(
        "train", "--corpus", leaking, "--protocol", "manifest", "--out", tmp_path / "run", "--strict", "--no-audit"
    )
    assert said.code == 2
    assert "--no-audit" in said.err


@pytest.mark.parametrize("flag", ["--strict", "--no-audit", "none"])
def test_what_train_does_with_the_outcome(
    call: Call, trained: Any, leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    """The training itself is a stand-in: it gives the run that was trained before."""
    import shutil

    from emocatcher.training import experiment

    out = tmp_path / "run"

    def train_folds(*arguments: Any, before: Callable[[], None], **_: Any) -> None:
        shutil.copytree(trained.folder, arguments[3])
        before()

    monkeypatch.setattr(experiment, "train_folds", train_folds)
    table = trained.table if flag == "--strict" else leaking
    flags = [] if flag == "none" else [flag]
    said = call("train", "--corpus", table, "--protocol", "manifest", "--out", out, *flags)
    assert said.code == 0, said.err
    stamp = {
        "--strict": "Audit: no leak found",
        "--no-audit": "Audit: not audited",
        "none": "Audit: speakers shared",
    }[flag]
    assert stamp in said.out.splitlines()
    assert stamp in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "audit.json").is_file() == (flag != "--no-audit")
    assert ("audit:" in said.err) == (flag != "--no-audit")
