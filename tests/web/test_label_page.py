"""The labelling page needs no build, so it has copies of what the page of `emocatcher serve` draws with: they agree."""

import re
from pathlib import Path

from emocatcher.foundation.labels import EMOTIONS

ROOT = Path(__file__).parents[2]
LABELLING = ROOT / "src" / "emocatcher" / "server" / "labelling" / "page"


def pairs(path: Path, start: str, pattern: str) -> dict[str, str]:
    block = path.read_text(encoding="utf-8").partition(start)[2].partition("\n}")[0]
    return dict(re.findall(pattern, block))


def test_the_labelling_page_has_all_its_texts_in_both_languages():
    script = (LABELLING / "words.js").read_text(encoding="utf-8")
    english, korean = (
        re.findall(r"^  (\w+):", script.partition(f"const {name} = {{")[2].partition("\n};")[0], re.MULTILINE)
        for name in ("english", "korean")
    )
    assert korean == english
    page, code = ((LABELLING / name).read_text(encoding="utf-8") for name in ("index.html", "label.js"))
    used = re.findall(r'data-(?:text|name)="(\w+)"', page) + re.findall(r"\bwords\.(?!js)(\w+)", code)
    assert set(used) | {"language", "name", "title", "labels"} == set(english)


def test_both_pages_have_the_same_names_of_the_emotions_in_korean():
    pattern = r'(\w+): "([^"]+)"'
    place = ROOT / "web" / "src" / "strings.ko.ts"
    theirs = dict(re.findall(pattern, place.read_text(encoding="utf-8").partition("labels: {")[2].partition("}")[0]))
    script = (LABELLING / "words.js").read_text(encoding="utf-8").partition("const korean")[2]
    ours = dict(re.findall(pattern, script.partition("labels: {")[2].partition("}")[0]))
    assert ours == {label: theirs[label] for label in EMOTIONS}


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
    assert ours["--wave"] == theirs["--silence"]
    korean = (LABELLING / "label.css", ROOT / "web" / "src" / "style" / "korean.css")
    here, there = (pairs(path, ":root:lang(ko) {", r"([\w-]+): ([^;]+);") for path in korean)
    assert here == there
    assert "--sans" in here
