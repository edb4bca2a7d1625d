"""`finalise`: the errors before it trains."""

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
