"""What several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ravdess_dir() -> Path:
    """The folder of the real RAVDESS, or a skip that says how to have it."""
    root = os.environ.get("EMOCATCHER_CORPORA")
    if not root or not (Path(root) / "ravdess").is_dir():
        pytest.skip("needs the real RAVDESS: set EMOCATCHER_CORPORA to the folder that holds ravdess/")
    return Path(root) / "ravdess"
