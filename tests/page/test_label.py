"""The labelling page of `emocatcher label`: keys, touch, notes, undo, a broken clip, the agreement at the end."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.corpora import manifest

from .conftest import PATIENCE_MS, RATE, ROOT, Tab, english, write_m4a

pytestmark = pytest.mark.page
_SOON_MS = 350  # the page takes no label sooner after a clip is asked
_DOUBLE_TAP = """async () => {
    const choice = document.querySelector(".choice[data-label=happy]");
    choice.click();
    for (const end = performance.now() + 30000; performance.now() < end; ) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        const time = document.getElementById("time").textContent;
        if (!document.title.startsWith("Clip 2 of 4") || time.startsWith("…")) continue;
        choice.click();
        return;
    }
}"""


_NO_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });"""


class Labelling:
    """A server of `emocatcher label`, and its table."""

    def __init__(self, address: str, out: Path) -> None:
        self.address, self.out = address, out

    def rows(self) -> list[dict[str, str]]:
        with self.out.open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def labelling(voices_dir: Path, tmp_path: Path) -> Iterator[Labelling]:
    """Four clips: WAV, AAC, one that cannot be read, and silence."""
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    clips = tmp_path / "clips"
    clips.mkdir()
    first, second = sorted(voices_dir.rglob("*.wav"))[:2]
    (clips / "1.wav").write_bytes(first.read_bytes())
    write_m4a(clips / "2.m4a", audio.load(second, RATE)[0], RATE)
    (clips / "3.wav").write_bytes(b"RIFF, but no more")
    soundfile.write(clips / "4.wav", np.zeros(RATE), RATE)
    command = [
        sys.executable,
        "-m",
        "emocatcher",
        "label",
        str(clips),
        "--out",
        str(tmp_path / "my.csv"),
        "--no-browser",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert found, line
            yield Labelling(found[0], tmp_path / "my.csv")
        finally:
            process.terminate()
            process.communicate(timeout=30)


def open_page(browser: Any, address: str, script: str = "", **options: Any) -> Tab:
    context = browser.new_context(**options)
    context.add_init_script(script)
    tab = Tab(context.new_page(), address)
    tab.page.goto(address)
    return tab


def wait_for_clip(page: Any, number: int, *, playable: bool = True) -> None:
    page.wait_for_function(f"() => document.title.startsWith('Clip {number} of 4')")
    if playable:
        page.wait_for_function("() => / s$/.test(document.getElementById('time').textContent)")
        page.wait_for_timeout(_SOON_MS)
    else:
        page.wait_for_selector("#unplayable:visible")


def test_clips_are_labelled_by_keys_and_the_session_is_continued(browser: Any, labelling: Labelling) -> None:
    tab = open_page(browser, labelling.address, viewport={"width": 1280, "height": 900})
    page = tab.page
    wait_for_clip(page, 1)
    drawn = "() => new Set(document.getElementById('waveform').getContext('2d').getImageData(0, 0, 400, 100).data).size"
    assert page.evaluate(drawn) > 2, "the waveform is drawn"
    page.keyboard.press("n")
    page.keyboard.type("5 voices")  # a digit in a note is no label
    page.keyboard.press("Enter")
    page.keyboard.press("5")
    wait_for_clip(page, 2)
    # The next clip plays at once, after the first key.
    page.wait_for_function("() => Number.parseFloat(document.getElementById('time').textContent) > 0.1")
    last = "Last:\\\\s+angry · model:\\\\s+\\\\w+ \\\\d+% · note: 5 voices"
    page.wait_for_function(f"() => new RegExp('{last}').test(document.getElementById('last').innerText)")
    (row,) = labelling.rows()
    assert (row["path"], row["label"], row["note"]) == ("clips/1.wav", "angry", "5 voices")
    assert row["guess"]
    assert 0 < float(row["probability"]) <= 1
    page.keyboard.press("u")
    wait_for_clip(page, 1)
    assert labelling.rows()[0]["label"] == ""
    assert "Note: 5 voices" in page.inner_text("#note-open")
    page.keyboard.press("4")
    wait_for_clip(page, 2)
    page.reload()
    wait_for_clip(page, 2)
    page.request.put(f"{labelling.address}v1/label/clips/2", data={"label": "happy"})  # as another tab does
    page.keyboard.press("4")
    wait_for_clip(page, 3, playable=False)
    assert "Clip 2 has the label 'happy' already" in page.inner_text("#notice")
    page.keyboard.press("1")  # there is nothing to label
    page.keyboard.press("0")
    wait_for_clip(page, 4)
    page.keyboard.press("1")
    page.wait_for_selector("#agreement:visible")
    assert page.inner_text("#results-heading") == "All 4 clips are done"
    # The first was labelled again after its guess was shown; the silence has no guess.
    assert "of 1 clip." in page.inner_text("#agreement-text")
    assert page.inner_text("#command") == f"emocatcher adapt {labelling.out} --to models/mine"
    assert [row["label"] for row in labelling.rows()] == ["sad", "happy", "", "neutral"]
    assert labelling.rows()[2]["note"].startswith("Not played: ")
    page.click("text=Ask the skipped clip again")
    page.wait_for_selector("#unplayable:visible")
    # The clip that cannot be played, and the label of another tab.
    console = [line for line in tab.console if "422" not in line and "409" not in line]
    assert console == []
    assert all(url.startswith(labelling.address) for url in tab.requests)
    page.context.close()


def test_labels_are_given_by_touch_on_a_phone_without_showing_guesses(browser: Any, labelling: Labelling) -> None:
    """In a browser that allows no storage, as where all cookies are blocked."""
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    page = open_page(browser, labelling.address, _NO_STORAGE, **phone).page
    page.set_default_timeout(PATIENCE_MS)
    wait_for_clip(page, 1)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    for button in page.query_selector_all("#work button:visible"):
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44, button.inner_text()
        assert box["y"] + box["height"] <= 844, "all buttons are on the first screen"
    page.uncheck("#guess-shown")
    page.evaluate(_DOUBLE_TAP)
    wait_for_clip(page, 2)
    assert [row["label"] for row in labelling.rows()] == ["happy"]
    assert "model" not in page.inner_text("#last")
    page.tap("#show-results")
    page.wait_for_selector("#results:visible")
    assert "1 labelled, 0 skipped, 3 to go" in page.inner_text("#results-lead")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    page.tap("#back")
    wait_for_clip(page, 2)
    page.tap("text=한국어")
    page.wait_for_function("() => document.title.startsWith('클립 2/4')")
    page.context.close()
    assert len(manifest.read(labelling.out)) == 1


def test_the_page_is_in_korean_and_the_switch_to_english_is_remembered(browser: Any, labelling: Labelling) -> None:
    tab = open_page(browser, labelling.address, locale="ko-KR", viewport={"width": 390, "height": 844})
    page = tab.page
    page.set_default_timeout(PATIENCE_MS)
    page.wait_for_function("() => document.title.startsWith('클립 1/4')")
    page.wait_for_function("() => /초$/.test(document.getElementById('time').textContent)")
    page.wait_for_timeout(_SOON_MS)
    page.keyboard.press("5")
    page.wait_for_function("() => document.title.startsWith('클립 2/4')")
    page.wait_for_function("() => /직전:\\s+분노/.test(document.getElementById('last').innerText)")
    assert english(page, str(labelling.out), "clips/1.wav") == []
    # While the keyboard is in Hangul, the key of N writes ㅜ; and Escape ends a syllable before it closes the note.
    typed = """([key, code, isComposing]) => {
        const event = new KeyboardEvent("keydown", { key, code, isComposing, bubbles: true });
        document.activeElement.dispatchEvent(event);
    }"""
    page.evaluate(typed, ["ㅜ", "KeyN", False])
    page.wait_for_selector("#note:visible", timeout=5000)
    page.evaluate(typed, ["Escape", "Escape", True])
    assert page.is_visible("#note")
    page.keyboard.press("Escape")
    assert not page.is_visible("#note")
    page.click("#show-results")
    page.wait_for_selector("#agreement:visible")
    assert english(page, str(labelling.out), "clips/1.wav") == []
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert labelling.rows()[0]["label"] == "angry"
    page.click("text=English")
    wait_for_clip(page, 2)
    page.reload()
    wait_for_clip(page, 2)
    assert page.get_attribute("html", "lang") == "en"
    assert [line for line in tab.console if "422" not in line] == []  # the clip that cannot be played
    page.context.close()
