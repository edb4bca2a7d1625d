"""The constants that the page shares with the package can be written without building the page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from emocatcher.foundation.labels import COLOURS, SPARE_COLOURS
from emocatcher.recognition.timeline import LONG_S

ROOT = Path(__file__).parents[2]


def test_facts_writes_the_constants_of_the_package(tmp_path: Path) -> None:
    path = tmp_path / "new" / "facts.json"
    subprocess.run([sys.executable, str(ROOT / "web" / "facts.py"), str(path)], check=True)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["colours"] == COLOURS
    assert found["spare_colours"] == list(SPARE_COLOURS)
    assert found["long_s"] == LONG_S
    assert all(value for value in found.values())
