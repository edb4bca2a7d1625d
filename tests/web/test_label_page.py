"""The labelling page needs no build, so it has copies of what the page of `emocatcher serve` draws with: they agree."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LABELLING = ROOT / "src" / "emocatcher" / "server" / "labelling" / "page"


def pairs(path: Path, start: str, pattern: str) -> dict[str, str]:
    block = path.read_text(encoding="utf-8").partition(start)[2].partition("\n}")[0]
    return dict(re.findall(pattern, block))


def test_both_pages_have_the_same_symbols():
    pattern = r'(\w+): "([^"]+)"'
    theirs = pairs(ROOT / "web" / "src" / "view" / "glyphs.ts", "GLYPHS", pattern)
    assert len(theirs) == 8
    assert pairs(LABELLING / "label.js", "GLYPHS", pattern) == theirs


def test_both_pages_have_the_same_colours_and_fonts():
    pattern = r"(--[\w-]+): ([^;]+);"
    ours = pairs(LABELLING / "label.css", ":root {", pattern)
    theirs = pairs(ROOT / "web" / "src" / "style" / "ground.css", ":root {", pattern)
    shared = ours.keys() & theirs.keys()
    assert len(shared) >= 10
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
