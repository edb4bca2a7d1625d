"""`finalise`: the errors before it trains."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")


@pytest.mark.parametrize(
    ("n_folds", "arguments", "needed"),
    [
        (2, ["--teacher", "a"], "had no teachers, and 1 model is named"),
        (2, ["--untaught", "b"], "had no teachers, so there is nothing to compare with"),
        (1, [], "has one fold, but calibration needs two"),
    ],
)
def test_a_run_that_cannot_be_finalised_is_refused_before_its_corpus_is_loaded(
    call: Callable[..., Any],
    made_run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_folds: int,
    arguments: list[str],
    needed: str,
) -> None:
    cache = tmp_path / "cache"  # where the synthetic corpus would be generated
    monkeypatch.setenv("EMOCATCHER_CACHE", str(cache))
    run = made_run(n_folds=n_folds, n_utterances=60, n_epochs=1, synthetic=True)
    plan = {"corpus": "synthetic", "protocol": "speakers-2", "seed": 0, "n_utterances": 60}
    (run / "run.json").write_text(json.dumps(plan))
    outcome = call("finalise", run, "--to", tmp_path / "mine", *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert needed in outcome.err
    assert not (tmp_path / "mine").exists()
    assert not cache.exists()


def test_an_existing_model_is_kept(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("of a model")
    outcome = call("finalise", tmp_path / "run", "--to", tmp_path)
    assert outcome.code == 2
    assert "Give --overwrite, or another folder" in outcome.err
    assert (tmp_path / "config.json").read_text() == "of a model"


@pytest.mark.slow
def test_a_model_is_named_like_its_folder_and_has_the_licence_of_the_corpus(
    process: Callable[..., Any], trained: Any, tmp_path: Path
) -> None:
    arguments = ["train", "--corpus", str(trained.table), "--protocol", "speakers-2", "--out", "two", "--epochs", "1"]
    assert process(arguments, cwd=tmp_path).code == 0
    outcome = process(["finalise", "two", "--to", "models/mine"], cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("mine: speakers-2 gave these settings")
    config = json.loads((tmp_path / "models" / "mine" / "config.json").read_text())
    assert (config["name"], config["training"]["licence"]) == ("mine", "unknown")
