"""`finalise`: the errors before it trains."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")


def test_teachers_for_a_run_without_teachers_are_refused(
    call: Callable[..., Any], small_run: Any, tmp_path: Path
) -> None:
    model = small_run.folder / "fold_0" / "last"
    outcome = call("finalise", small_run.folder, "--to", tmp_path / "mine", "--teacher", model)
    assert outcome.code == 2
    assert "had no teachers, and 1 model is named" in outcome.err
    assert not (tmp_path / "mine").exists()


def test_an_existing_model_is_kept(call: Callable[..., Any], small_run: Any) -> None:
    model = small_run.folder / "fold_0" / "last"
    before = (model / "config.json").read_bytes()
    outcome = call("finalise", small_run.folder, "--to", model)
    assert outcome.code == 2
    assert "Give --overwrite, or another folder" in outcome.err
    assert (model / "config.json").read_bytes() == before


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
