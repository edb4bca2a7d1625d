"""The page is accessible: by keyboard, without relying on colours, with reduced motion, on a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher import audio

from .conftest import ROOT, Tab

pytestmark = pytest.mark.page
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}


def violations(tab: Tab) -> list[str]:
    """Violations that axe finds of WCAG 2.2 A and AA, and of its own best practices."""
    tab.page.evaluate(AXE.read_text(encoding="utf-8"))
    tab.wait_for_rest()
    found = tab.page.evaluate("async () => (await axe.run(document)).violations")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}" for one in found for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "size"), [("light", "desk"), ("dark", "phone")])
def test_axe_finds_no_violation_in_any_view(
    open_tab: Callable[..., Tab], spoken: Path, voices_dir: Path, tmp_path: Path, scheme: str, size: str
) -> None:
    width, height = SIZES[size]
    tab = open_tab(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    assert violations(tab) == []
    tab.choose(spoken)
    tab.wait_for_answer()
    assert violations(tab) == []
    text = tmp_path / "notes.txt"
    text.write_text("no recording")
    tab.choose(text)
    tab.page.wait_for_selector(".notice.is-shown")
    assert violations(tab) == []
    for view in ("live", "about"):
        tab.go(view)
        if view == "about":
            tab.page.click("summary:visible")
        assert violations(tab) == []
    tab.go("guess")
    assert violations(tab) == []
    named = tmp_path / "03-01-05-01-01-01-01.wav"
    named.write_bytes(sorted(voices_dir.rglob("*.wav"))[0].read_bytes())
    tab.page.check("#guess-tell")
    tab.choose(named, view="guess")
    tab.page.wait_for_selector(".choice:not([disabled])")
    assert violations(tab) == []
    tab.page.keyboard.press("1")
    tab.page.wait_for_selector(".reveal")
    assert violations(tab) == []
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".comparison")
    assert violations(tab) == []


def test_many_segments_fit_on_a_phone(tab: Tab, voices_dir: Path, tmp_path: Path) -> None:
    """Segments stay within the ribbon, doubtful ones are marked in text too, and labels on the river do not overlap."""
    clips = sorted(voices_dir.rglob("*.wav"))[::17][:24]
    path = tmp_path / "many.wav"
    soundfile.write(path, np.concatenate([audio.load(clip, 16_000)[0] for clip in clips]), 16_000)
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.choose(path)
    # For a long recording, windows are shown before the final answer.
    tab.page.wait_for_selector("[data-state=recognising] .progress:not(:empty)")
    tab.wait_for_answer()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    ribbon = tab.page.locator(".ribbon").bounding_box()
    segments = tab.page.locator(".segment").all()
    assert len(segments) > 8
    for segment in segments:
        box = segment.bounding_box()
        assert ribbon["x"] - 1 <= box["x"] <= box["x"] + box["width"] <= ribbon["x"] + ribbon["width"] + 1
    doubtful = tab.page.locator(".segment.is-doubtful").all()
    assert 0 < len(doubtful) < len(segments)
    assert all((segment.get_attribute("title") or "").startswith("not sure, ") for segment in doubtful)
    for width in (1280, 1120, 660):
        tab.page.set_viewport_size({"width": width, "height": 900})
        tags = [tag.bounding_box() for tag in tab.page.locator(".river-tag").all()]
        assert len(tags) > 2
        for i, one in enumerate(tags):
            for other in tags[:i]:
                beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
                assert beside or abs(one["y"] - other["y"]) >= one["height"], width


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_every_view_fits_the_width_of_the_screen(tab: Tab, clip: Path, voices_dir: Path, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.choose(clip)
    tab.wait_for_answer()
    for view in ("try", "live", "guess", "about"):
        tab.go(view)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, view
    tab.go("guess")
    tab.choose(sorted(voices_dir.rglob("*.wav"))[0], view="guess")
    tab.page.wait_for_selector(".choice:not([disabled])")
    for place in (".choice", ".guess-round .chip", ".key"):
        for box in (element.bounding_box() for element in tab.page.locator(place).all()):
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width - 16, place
    tab.page.click("text=Finish here")
    tab.page.click("text=Another round")
    tab.page.set_viewport_size({"width": 1280, "height": 900})


def focused(tab: Tab) -> str:
    return str(tab.page.evaluate("(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()"))


def tab_to(tab: Tab, words: str) -> None:
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        if focused(tab).startswith(words):
            return
    pytest.fail(f"'{words}' cannot be reached by keyboard")


def open_chooser_by_keyboard(tab: Tab) -> Any:
    """Headless Chromium sometimes opens no file chooser, mostly for Enter, so press the key up to eight times."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

    for _ in range(8):
        assert focused(tab).startswith("Choose a file")
        try:
            with tab.page.expect_file_chooser(timeout=4_000) as chooser:
                tab.page.keyboard.press("Space")
            return chooser.value
        except PlaywrightTimeoutError:
            continue
    pytest.fail("no file chooser opened after eight key presses")


def test_every_view_works_by_keyboard(open_tab: Callable[..., Tab], spoken: Path) -> None:
    tab = open_tab()
    tab.page.keyboard.press("Tab")
    assert focused(tab) == "Skip to the content"
    tab_to(tab, "Choose a file")
    open_chooser_by_keyboard(tab).set_files(str(spoken))
    tab.wait_for_answer()
    tab_to(tab, "Play")
    tab_to(tab, "Position in the recording")
    slider = tab.page.locator("[role=slider]")
    duration = float(slider.get_attribute("aria-valuemax"))
    for key, place in {"End": duration, "Home": 0.0, "PageUp": 1.0, "ArrowRight": 1.1}.items():  # each from the last
        tab.page.keyboard.press(key)
        assert float(slider.get_attribute("aria-valuenow")) == pytest.approx(place, abs=0.02), key
    tab.page.wait_for_timeout(1000)  # and no late event of the player moves the cursor back
    assert float(slider.get_attribute("aria-valuenow")) == pytest.approx(1.1, abs=0.02)
    assert "%" in slider.get_attribute("aria-valuetext") or "no voice" in slider.get_attribute("aria-valuetext")
    tab_to(tab, "Answer, JSON")
    with tab.page.expect_download() as download:
        tab.page.keyboard.press("Enter")
    assert json.loads(Path(download.value.path()).read_bytes())[0]["path"] == spoken.name
    tab.page.keyboard.press("Control+Home")
    tab.page.evaluate("document.activeElement.blur()")
    for view, heading in (("Live", "Live"), ("Guess first", "Guess first"), ("About the model", "About the model")):
        tab_to(tab, view)
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_function(
            "words => document.activeElement.tagName === 'H1' && document.activeElement.innerText === words",
            arg=heading,
        )
        tab.page.evaluate("document.activeElement.blur(); document.querySelector('.brand').focus()")


def test_the_theme_follows_the_system_and_can_be_changed(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(color_scheme="dark")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = tab.page.evaluate(background)
    tab.page.click("[aria-label='Light colours']")
    assert tab.page.evaluate(background) != dark
    tab.page.reload()
    tab.page.wait_for_selector("html[data-network=ready]")
    tab.page.wait_for_load_state("networkidle")
    tab.requests.clear()
    assert tab.page.evaluate(background) != dark, "the choice was not kept"


def test_emotions_are_shown_by_glyph_and_text_besides_colour(tab: Tab, spoken: Path) -> None:
    tab.choose(spoken)
    tab.wait_for_answer()
    for place in (".segment:not(.is-silent)", ".bar-row", ".river-tag"):
        for element in tab.page.locator(place).all():
            assert element.locator("svg.glyph").count() == 1, place
            assert element.inner_text().strip() or element.get_attribute("title"), place
