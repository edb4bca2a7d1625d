import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from emocatcher.evaluation import audit
from emocatcher.evaluation.run_folder import read
from emocatcher.foundation.settings import load_preset
from emocatcher.reports.run_report import text


def test_headline_states_result_protocol_selection_and_limits(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=3, n_utterances=240, n_epochs=12, protocol="reference-cv5"))
    headline = text.headline(run)
    assert "\n" not in headline
    mean, std = run.result.mean.selected, run.result.std.selected
    assert f"accuracy {mean.accuracy * 100:.2f} ± {std.accuracy * 100:.2f}%" in headline
    for words in ("cabg on ravdess, reference-cv5", "3 folds", "last epoch", "Speakers shared", "yes. A score for"):
        assert words in headline
    assert "optimistic" not in headline
    assert "SYNTHETIC" not in headline


def test_headline_marks_synthetic_and_optimistic_runs(made_run: Callable[..., Path]) -> None:
    headline = text.headline(read(made_run(n_utterances=120, n_epochs=2, synthetic=True, selection="best-test")))
    assert headline.startswith("SYNTHETIC.")
    assert "optimistic: epoch chosen on the test part" in headline


def test_separate_speakers_have_no_caveat(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=2))
    result = msgspec.structs.replace(run.result, speakers_shared=False, cannot_claim="")
    assert text.speakers(type(run)(**{**vars(run), "result": result})) == (
        "Speakers shared between training and test: no."
    )


def test_audit_result_is_shown_and_a_missing_audit_is_stated(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_utterances=120, n_epochs=2)
    assert text.audit_line(read(run_dir)) == "Audit: not audited"
    leak = audit.Leak(kind="selection-on-test", text="…")
    found = audit.Audit(corpus="x", protocol="y", n_folds=1, n_utterances=2, n_fingerprints=2, leaks=(leak,), notes=())
    audit.write(found, run_dir)
    assert text.audit_line(read(run_dir)) == "Audit: the epoch chosen on the test part"


@pytest.mark.parametrize("n_folds", [1, 4])
def test_summary_rows_are_folds_mean_and_interval(made_run: Callable[..., Path], n_folds: int) -> None:
    run = read(made_run(n_folds=n_folds, n_utterances=240, n_epochs=12))
    header, rows = text.summary_rows(run)
    assert all(len(row) == len(header) for row in rows)
    assert len(rows) == n_folds + (n_folds > 1) + 1
    assert rows[-1][0] == "95% interval (speakers)"
    assert [row[1] for row in rows[:n_folds]] == [f"{fold.selected.accuracy * 100:.2f}" for fold in run.result.folds]
    assert [row[5] for row in rows[:n_folds]] == [f"{fold.accuracy.best_test * 100:.2f}" for fold in run.result.folds]
    assert header[5].endswith("best on test (optimistic)")
    assert header[1] == "accuracy %, last"


def test_command_reproduces_the_settings(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=7, selection="best-valid"))
    words = shlex.split(text.command(run))
    assert words[:4] == ["emocatcher", "train", "--preset", "cabg"]
    changes = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert len(changes) == 2
    assert load_preset("cabg", changes) == run.settings


def test_command_names_another_device_than_the_cpu(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=2))
    assert "--device" not in text.command(run)
    run.environment["device"] = "cuda (NVIDIA H200)"
    assert "--device cuda --" in text.command(run)


def test_command_reads_a_user_s_own_preset_from_the_run_folder(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_utterances=120, n_epochs=2))
    result = msgspec.structs.replace(run.result, preset="mine")
    command = text.command(type(run)(**{**vars(run), "result": result}))
    assert "--preset run/config.toml" in command
    assert "--set" not in command
