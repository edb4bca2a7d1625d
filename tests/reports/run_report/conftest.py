"""Run folders with their reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generated_runs import write_made_run

ODD_LABELS = ("<b>bold</b>", "a & b", "$x_1$", '"quoted" and long enough to be cut')


@pytest.fixture(scope="session")
def holdout_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of one fold, with its report."""
    return _write_run_and_report(tmp_path_factory, "holdout", n_utterances=240, n_epochs=30)


@pytest.fixture(scope="session")
def folds_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of several folds with a validation part, with its report."""
    return _write_run_and_report(
        tmp_path_factory, "folds", n_folds=2, n_utterances=240, n_epochs=6, protocol="speakers-3",
        selection="best-valid", with_valid=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def odd_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of edge cases with its report: synthetic, optimistic, one epoch, no speakers, labels to escape."""
    return _write_run_and_report(
        tmp_path_factory, "odd", labels=ODD_LABELS, n_epochs=1, synthetic=True, selection="best-test",
        with_speakers=False, n_utterances=120,
    )  # fmt: skip


def _write_run_and_report(factory: pytest.TempPathFactory, name: str, **options: Any) -> Path:
    from emocatcher.reports import run_report

    run_dir = write_made_run(factory.mktemp(name) / name, **options)
    run_report.write(run_dir)
    return run_dir
