"""`finalise`: what it refuses before it trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")


def test_teachers_of_a_run_that_had_none(call: Callable[..., Any], small_run: Any, tmp_path: Path) -> None:
    model = small_run.folder / "fold_0" / "last"
    said = call("finalise", small_run.folder, "--to", tmp_path / "mine", "--teacher", model)
    assert said.code == 2
    assert "had no teachers, and 1 model is named" in said.err
    assert not (tmp_path / "mine").exists()


def test_a_model_that_is_there_stays(call: Callable[..., Any], small_run: Any) -> None:
    model = small_run.folder / "fold_0" / "last"
    before = (model / "config.json").read_bytes()
    said = call("finalise", small_run.folder, "--to", model)
    assert said.code == 2
    assert "Give --overwrite, or another folder" in said.err
    assert (model / "config.json").read_bytes() == before
