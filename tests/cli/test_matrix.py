"""`matrix`: from finished runs, and by training what is missing."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.protocols import across_corpora
from emocatcher.foundation.errors import CorpusError, RunError
from emocatcher.foundation.settings import load_preset
from emocatcher.training import matrix_runs

Call = Callable[..., Any]


@pytest.fixture
def tables(voices: Corpus, tmp_path: Path) -> str:
    """Two corpora as tables: one of two voices, one of a single voice."""
    parts = {"pair": voices.speakers[:2], "single": voices.speakers[2:3]}
    for name, speakers in parts.items():
        chosen = [u for u in voices if u.speaker in speakers and u.emotion in ("sad", "angry")][::2]
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "label", "speaker"])
            rows.writerows([u.path, u.emotion, u.speaker] for u in chosen)
    return ",".join(str(tmp_path / f"{name}.csv") for name in parts)


def test_it_prints_the_matrix_of_finished_runs_and_writes_a_page(
    call: Call, across: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call("matrix", across.folder)
    assert outcome.code == 0, outcome.err
    assert "all others" in outcome.out
    assert "Calm counts as neutral" in outcome.out
    assert outcome.out.endswith("Matrix: matrix.html\n")
    again = call("matrix", across.folder)
    assert again.code == 2
    assert "exists already" in again.err


def test_json_has_every_cell(call: Call, across: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call("matrix", across.folder, "--json")
    found = json.loads(outcome.out)
    assert [cell["column"] for cell in found["cells"]] == ["with-calm", "lacking", "larger"]
    assert {"unweighted_average_recall", "interval", "chance", "classes", "trained_on"} <= set(found["cells"][0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [(), ("runs/a", "--corpora", "a,b", "--out", "x"), ("--corpora", "a,b")])
def test_it_needs_runs_or_corpora_with_a_folder(call: Call, arguments: tuple[str, ...]) -> None:
    outcome = call("matrix", *arguments)
    assert outcome.code == 2
    assert "--corpora" in outcome.err


@pytest.mark.parametrize(
    "option",
    [("--preset", "cabg"), ("--seed", "0"), ("--epochs", "2"), ("--device", "cpu"), ("--set", "training.n_epochs=2"),
     ("--no-audit",)],
)  # fmt: skip
def test_an_option_of_training_is_refused_with_finished_runs(call: Call, option: tuple[str, ...]) -> None:
    outcome = call("matrix", "runs/a", *option)
    assert outcome.code == 2
    assert f"{option[0]} is for training, with --corpora" in outcome.err


def test_one_corpus_makes_no_matrix(tables: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="needs two or more corpora"):
        matrix_runs.plan(tables.split(",")[0], tmp_path)


def test_the_plan_has_pairs_and_the_corpora_of_several_speakers(tables: str, tmp_path: Path) -> None:
    planned = matrix_runs.plan(tables, tmp_path)
    assert [(one.folder.name, one.protocol) for one in planned] == [
        ("cross-corpus", "cross-corpus"), ("within-pair", "speakers-2"),
    ]  # fmt: skip
    assert [across_corpora.is_joined(one.corpus) for one in planned] == [True, False]


def test_it_trains_what_is_missing_once(
    tables: str, tmp_path: Path, train_here: Any, small_network: tuple[str, ...]
) -> None:
    settings = load_preset("cabg", [*small_network, "training.n_epochs=1"])
    planned = matrix_runs.plan(tables, tmp_path / "m")
    options = {"audited": False, "reported": False}
    assert [matrix_runs.train(one, settings, **options) for one in planned] == [True, True]
    assert [matrix_runs.train(one, settings, **options) for one in planned] == [False, False]
    with pytest.raises(RunError, match="another run"):
        matrix_runs.train(planned[0], settings, seed=1, **options)
    first, *others = planned[0].corpus.utterances
    voted = (msgspec.structs.replace(first, votes=((first.emotion, 1.0),)), *others)
    with_votes = msgspec.structs.replace(planned[0].corpus, utterances=voted)
    with pytest.raises(RunError, match="votes"):
        matrix_runs.train(msgspec.structs.replace(planned[0], corpus=with_votes), settings, **options)
    (tmp_path / "m" / "within-pair" / "result.json").unlink()
    assert [matrix_runs.train(one, settings, **options) for one in planned] == [False, True]
