"""Generated runs that can be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generated_runs import write_made_run


def change(run_dir: Path, **fields: Any) -> Path:
    """Change fields of a run's result."""
    path = run_dir / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return run_dir


def make_run(run_dir: Path, *, shared: bool = True, answers: int = 0, **fields: Any) -> Path:
    """Generate a run of 240 utterances; with `answers` n, every n-th prediction is changed to a wrong one."""
    options = {
        name: fields.pop(name) for name in ("labels", "synthetic", "with_speakers", "selection") if name in fields
    }
    protocol = fields.pop("protocol", "stratified-2" if shared else "speakers-2")
    write_made_run(run_dir, n_folds=2, n_epochs=2, n_utterances=240, protocol=protocol, **options)
    if answers:
        _spoil_predictions(run_dir, answers)
    return change(run_dir, speakers_shared=shared, separates_speakers=not shared, **fields)


def _spoil_predictions(run_dir: Path, every: int) -> None:
    """Make every n-th prediction wrong, in the predictions and in the accuracy."""
    import csv

    path = run_dir / "predictions.csv"
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    labels = json.loads((run_dir / "result.json").read_text())["labels"]
    for row in rows[::every]:
        wrong = labels[(labels.index(row[4]) + 1) % len(labels)]
        row[5] = wrong
        row[7:] = ["1.0" if label == wrong else "0.0" for label in labels]
        row[6] = "1.0"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    result = json.loads((run_dir / "result.json").read_text())
    accuracy = sum(row[4] == row[5] for row in rows) / len(rows)
    result["mean"]["selected"]["accuracy"] = accuracy
    (run_dir / "result.json").write_text(json.dumps(result))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A function that generates a run folder with the given options and returns its path."""
    return lambda name="run", **options: make_run(tmp_path / name, **options)


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of every kind, read only: two seeds, other predictions, separate speakers, synthetic, odd labels."""
    root = tmp_path_factory.mktemp("several")
    return {
        "shared-s0": make_run(root / "shared-s0"),
        "shared-s1": make_run(root / "shared-s1", answers=9, seed=1),
        "other": make_run(root / "other", answers=3, preset="another"),
        "apart": make_run(root / "apart", shared=False),
        "made": make_run(root / "<b>made</b> & $x$", synthetic=True, selection="best-test"),
        "odd": make_run(root / "odd", labels=("<i>x</i>", "happy"), with_speakers=False),
    }
