"""`audit`, and the audit before `train`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture
def leaking(trained: Any) -> Path:
    """The user's table, with a test speaker also in the training part."""
    head, *lines = trained.table.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.endswith(",01,test"))
    lines[at] = lines[at].replace(",01,test", ",01,train")
    table = trained.table.with_name("leaking.csv")
    table.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return table


def test_exit_code_is_0_without_a_leak(call: Call, trained: Any) -> None:
    outcome = call("audit", "--corpus", trained.table, "--protocol", "manifest")
    assert outcome.code == 0
    assert "112 recordings in 1 fold, 112 of them with a fingerprint" in outcome.out
    assert "Audit: no leak found" in outcome.out
    assert "\x1b" not in outcome.out + outcome.err


def test_exit_code_is_1_with_a_leak(call: Call, leaking: Path) -> None:
    outcome = call("audit", "--corpus", leaking, "--protocol", "manifest")
    assert outcome.code == 1
    assert "Audit: speakers shared" in outcome.out
    assert "- same-speaker: 1 speaker is on both sides: 01" in outcome.out
    assert "Traceback" not in outcome.err


def test_exit_code_is_2_when_the_audit_cannot_run(call: Call, trained: Any) -> None:
    assert call("audit", "--corpus", trained.table, "--protocol", "emobox-6").code == 2
    assert call("audit", "--corpus", "no-such.csv", "--protocol", "manifest").code == 2
    assert call("audit", "--corpus", trained.table, "--protocol", "manifest", "--set", "training.no=1").code == 2


def test_json_lists_all_leaks(call: Call, leaking: Path) -> None:
    outcome = call(
        "audit", "--corpus", leaking, "--protocol", "manifest", "--json", "--set", "training.selection=best-test"
    )
    assert outcome.code == 1
    found = json.loads(outcome.out)
    assert [leak["kind"] for leak in found["leaks"]] == ["same-speaker", "selection-on-test"]
    assert found["leaks"][0]["speakers"] == ["01"]
    assert (found["corpus"], found["protocol"], found["n_folds"], found["notes"]) == ("leaking", "manifest", 1, [])


def test_help_lists_the_exit_codes(call: Call) -> None:
    outcome = call("audit", "--help")
    text = " ".join(outcome.out.split())
    assert "Exit code: 0 if nothing leaks, 1 if something leaks, 2 if the audit cannot run" in text


def test_strict_training_audits_first_and_the_report_states_the_outcome(trained: Any) -> None:
    assert trained.outcome.code == 0
    assert "audit: 112/112" in trained.outcome.err
    assert "Audit: no leak found" in trained.outcome.err
    assert "Audit: no leak found" in trained.outcome.out
    assert json.loads((trained.folder / "audit.json").read_text())["leaks"] == []
    assert "Audit: no leak found" in (trained.folder / "report.html").read_text(encoding="utf-8")


def test_strict_refuses_a_leak_before_writing_anything(call: Call, leaking: Path, tmp_path: Path) -> None:
    outcome = call("train", "--corpus", leaking, "--protocol", "manifest", "--out", tmp_path / "run", "--strict")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("Error: Audit: speakers shared. --strict refuses")
    assert outcome.out == ""
    assert not (tmp_path / "run").exists()


def test_strict_excludes_no_audit(call: Call, leaking: Path, tmp_path: Path) -> None:
    outcome = call(
        "train", "--corpus", leaking, "--protocol", "manifest", "--out", tmp_path / "run", "--strict", "--no-audit"
    )
    assert outcome.code == 2
    assert "--no-audit" in outcome.err


@pytest.mark.usefixtures("train_here")  # trains in this process
@pytest.mark.parametrize(
    ("flags", "stamp"), [(["--no-audit"], "Audit: not audited"), ([], "Audit: speakers shared")], ids=["off", "on"]
)
def test_train_prints_and_stores_the_audit(
    call: Call, leaking: Path, tmp_path: Path, small_network: tuple[str, ...], flags: list[str], stamp: str
) -> None:
    out = tmp_path / "run"
    small = [word for setting in small_network for word in ("--set", setting)]
    outcome = call("train", "--corpus", leaking, "--protocol", "manifest", "--out", out, "--epochs", 1, *small, *flags)
    assert outcome.code == 0, outcome.err
    assert stamp in outcome.out.splitlines()
    assert stamp in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "audit.json").is_file() is not bool(flags)
    assert ("audit:" in outcome.err) is not bool(flags)
