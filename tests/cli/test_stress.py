"""`stress`: a table, JSON, and a figure in a folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emocatcher.corpora.table import Corpus
from emocatcher.training.stress import conditions


@pytest.fixture
def arguments(voices: Corpus, tmp_path: Path) -> tuple[object, ...]:
    """Four clips of two voices to test on, and some of others."""
    rows = [
        f"{u.path},{u.emotion},{u.speaker},{'test' if u.speaker in voices.speakers[:2] else 'train'}"
        for speaker in voices.speakers
        for u in [u for u in voices if u.speaker == speaker and u.emotion in ("sad", "angry")][::8]
    ]
    (tmp_path / "few.csv").write_text("\n".join(["path,label,speaker,split", *rows]) + "\n")
    return "stress", "emocatcher-2", "--corpus", tmp_path / "few.csv", "--protocol", "manifest", "--workers", 1


def test_it_prints_a_table_and_writes_a_figure(
    call: Callable[..., Any], arguments: tuple[object, ...], tmp_path: Path
) -> None:
    printed = call(*arguments, "--out", tmp_path / "out")
    assert printed.code == 0, printed.err
    assert "as recorded" in printed.out
    assert all(condition.title in printed.out for condition in conditions.CONDITIONS.values())
    assert printed.out.rstrip().endswith("stress.svg")
    again = call(*arguments, "--out", tmp_path / "out", "--json")
    assert (again.code, again.out) == (2, "")
    assert "--overwrite" in again.err
    assert call(*arguments, "--out", tmp_path / "out", "--overwrite", "--seed", 1).code == 0
    assert json.loads((tmp_path / "out" / "stress.json").read_text())["seed"] == 1


def test_json_has_every_degradation(call: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    outcome = call(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    scores = json.loads(outcome.out)["scores"]
    assert set(scores["losses"]) == set(conditions.CONDITIONS)
    assert {"accuracy_lost", "unweighted_average_recall_lost_interval"} <= set(scores["losses"]["telephone"])
