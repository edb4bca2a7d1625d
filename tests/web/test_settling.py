"""The page settles as the package does: both give the numbers of `web/tests/settling.json`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emocatcher.recognition import settling
from emocatcher.recognition.prediction import Prediction

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "web" / "tests" / "settling.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_cases_of_the_page_are_those_of_the_package(case: dict[str, Any]) -> None:
    labels = tuple(case["labels"])
    answers = [
        Prediction(
            path="", emotion=labels[0], probabilities=dict(zip(labels, row, strict=True)), abstain=False,
            duration_s=1.0, model="", model_version="",
        )
        for row in case["probabilities"]
    ]  # fmt: skip
    config: Any = SimpleNamespace(name="m", labels=labels, sha256={})
    settled = settling.estimate(answers, config)
    assert settled.shift == pytest.approx(case["shift"], abs=1e-6)
    adjusted = settling.apply(np.array(case["probabilities"][:1]), settled.shift)[0]
    kept = [adjusted[labels.index(label)] for label in case["emotions"]]
    assert np.array(kept) / sum(kept) == pytest.approx(case["adjusted"], abs=1e-6)
