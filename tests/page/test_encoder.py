"""The page with a model of the preset `emocatcher-3`: its own sample rate and bands, and attention from the graph."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import emocatcher
from emocatcher.foundation.settings import Encoder, load_preset
from emocatcher.models.model_folder import Bundle

from .conftest import ROOT, Tab, serving_files

pytestmark = pytest.mark.page
ENCODER = Encoder(source="random", n_layers=2, width=32, n_heads=4, hidden=48)


@pytest.fixture(scope="module")
def model(make_model: Callable[..., Bundle]) -> Bundle:
    return make_model(msgspec.structs.replace(load_preset("emocatcher-3"), encoder=ENCODER))


@pytest.fixture(scope="module")
def address(built: Path, model: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page") / "page"
    shutil.copytree(built, folder)
    runpy.run_path(str(ROOT / "web" / "model_files.py"))["write"](folder, str(model.path))
    with serving_files(folder) as address:
        yield address


def test_an_encoder_gives_pythons_prediction_and_attention(
    open_tab: Callable[..., Tab], address: str, model: Bundle, clip: Path
) -> None:
    tab = open_tab(at=address)
    tab.choose(clip)
    tab.wait_for_answer()
    found: dict[str, Any] = tab.prediction()
    expected = emocatcher.load(model.path).predict(clip)
    assert len(expected.attention) > 20
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-3)
    assert np.allclose(found["attention"], expected.attention, atol=1e-3)
    steps_s = np.diff([time_s for time_s, _ in found["attention"]])
    assert np.allclose(steps_s, 0.02, atol=1e-5)
