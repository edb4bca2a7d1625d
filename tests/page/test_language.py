"""The page in Korean, and the switch of languages."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from emocatcher.foundation.labels import EMOTIONS

from .conftest import Tab, english
from .test_access import violations

pytestmark = pytest.mark.page


def test_no_english_word_is_left_in_any_view_on_a_phone_and_saved_files_keep_their_keys(
    open_tab: Callable[..., Tab], clip: Path, tmp_path: Path
) -> None:
    tab = open_tab(locale="ko-KR", viewport={"width": 390, "height": 844}, color_scheme="dark", reduced_motion="reduce")
    assert tab.page.get_attribute("html", "lang") == "ko"
    notes = tmp_path / "메모.txt"
    notes.write_text("no recording")
    tab.choose(notes)
    tab.page.wait_for_selector(".notice.is-shown")
    assert english(tab.page) == []
    tab.page.click("[data-example]")
    tab.wait_for_answer()
    assert english(tab.page) == []
    assert violations(tab) == []
    (prediction,) = json.loads(tab.saved(".json"))
    assert set(prediction["probabilities"]) == set(EMOTIONS)
    (first, *_) = csv.DictReader(io.StringIO(tab.saved(".csv").decode()))
    assert first["emotion"] in EMOTIONS
    assert {f"probability_{label}" for label in EMOTIONS} <= first.keys()
    drawn = tab.saved(".svg").decode()
    assert "두려움" in drawn
    assert "fearful" not in drawn
    named = Path(shutil.copy(clip, tmp_path / "03-01-05-01-01-01-01.wav"))
    for view in ("live", "about", "guess"):
        tab.go(view)
        assert english(tab.page) == []
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390, view
    tab.page.check("#guess-tell")
    tab.choose(named, view="guess")
    tab.page.wait_for_selector(".choice:not([disabled])")
    tab.page.keyboard.press("1")
    tab.page.wait_for_selector(".reveal")
    assert "연기한 감정: 분노" in tab.page.inner_text(".reveal")
    assert english(tab.page) == []
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".comparison")
    assert english(tab.page) == []
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_switch_keeps_recording_choices_and_round_sends_no_request_and_is_remembered(
    open_tab: Callable[..., Tab], voices_dir: Path, tmp_path: Path
) -> None:
    tab = open_tab(locale="en-GB", viewport={"width": 1280, "height": 900})
    clips = sorted(voices_dir.rglob("*.wav"))[:2]
    named = [Path(shutil.copy(clip, tmp_path / f"03-01-05-01-01-01-0{i + 1}.wav")) for i, clip in enumerate(clips)]
    tab.go("guess")
    tab.choose(*named, view="guess")
    tab.page.wait_for_function("() => document.body.innerText.includes('Clip 1 of 2')")
    tab.page.wait_for_selector(".choice:not([disabled])")
    tab.page.keyboard.press("5")
    tab.page.wait_for_function("() => document.body.innerText.includes('Clip 2 of 2')")
    tab.go("try")
    tab.page.click("[aria-controls=emotions-panel]")
    tab.page.uncheck("#only-calm")
    tab.choose(clips[0])
    tab.wait_for_answer()
    before = tab.prediction()
    tab.page.focus("text=한국어")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("html[lang=ko]")
    assert tab.page.evaluate("document.activeElement.textContent") == "English"
    tab.wait_for_answer()
    assert tab.prediction()["probabilities"] == pytest.approx(before["probabilities"], abs=1e-6)
    assert "감정 7가지만" in tab.page.inner_text(".adjusting")
    assert english(tab.page) == []
    tab.go("guess")
    assert "클립 2/2" in tab.page.inner_text(".guess-round")
    tab.page.keyboard.press("5")
    tab.page.wait_for_selector(".comparison")
    assert "2개 중 2개 정답" in tab.page.inner_text(".comparison")
    assert tab.requests == []
    tab.page.reload()
    tab.page.wait_for_selector("html[data-network=ready]")
    tab.page.wait_for_load_state("networkidle")
    tab.requests.clear()
    assert tab.page.get_attribute("html", "lang") == "ko"
    assert tab.page.title().startswith("먼저 맞혀 보기")
