"""Shared fixtures of the corpus tests."""

import os
from pathlib import Path

import pytest

from emocatcher.corpora import synthetic


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no outside corpora, so that no test touches the user's own."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("EMOCATCHER_CACHE", str(cache))
    monkeypatch.delenv("EMOCATCHER_CORPORA", raising=False)
    return cache


@pytest.fixture(scope="session")
def made_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic voices, a man's and a woman's: 120 clips."""
    root = tmp_path_factory.mktemp("made") / "corpus"
    synthetic.generate(root, n_voices=2)
    return root


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    """The folder of real corpora, or a skip that says how to have it."""
    root = os.environ.get("EMOCATCHER_CORPORA")
    if not root or not Path(root).is_dir():
        pytest.skip("needs real corpora: set EMOCATCHER_CORPORA to the folder that holds ravdess/, crema-d/ …")
    return Path(root)
