"""The page settles on recordings without labels, and restricts its answers to some emotions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from emocatcher.recognition import settling
from emocatcher.recognition.recognizer import Recognizer

from .conftest import Tab, is_doubtful
from .test_access import violations
from .test_server import serving, switch

pytestmark = pytest.mark.page
FEW = ["neutral", "happy", "sad"]


@pytest.fixture(scope="module")
def voices(voices_dir: Path) -> list[Path]:
    """Twelve recordings for whose speech the page needs no second network."""
    return [path for path in sorted(voices_dir.rglob("*.wav"))[::5] if not is_doubtful(path)][:12]


def settle(tab: Tab, voices: list[Path]) -> None:
    tab.page.click("button:has-text('Get used to me')")
    tab.page.set_input_files("#settle-panel input[type=file]", [str(path) for path in voices])
    tab.page.wait_for_selector(f".chip.is-set:has-text('Settled on {len(voices)} recordings')")


def test_the_page_settles_as_python_does_and_can_forget(
    open_tab: Callable[..., Tab], voices: list[Path], clip: Path, recognizer: Recognizer
) -> None:
    tab = open_tab()
    tab.choose(clip)
    tab.wait_for_answer()
    before = tab.prediction()
    assert before["settled_on"] == 0
    settle(tab, voices)
    tab.page.wait_for_selector(".answer .settled-on:has-text('Settled on 12 recordings')")
    tab.wait_for_answer()
    expected = recognizer.settle(voices)
    after = tab.prediction()
    assert after["settled_on"] == 12
    assert after["probabilities"] == pytest.approx(expected.predict(clip).probabilities, abs=2e-3)
    assert after["probabilities"] != pytest.approx(before["probabilities"], abs=1e-2)
    tab.page.click("button:has-text('Only some emotions')")
    for box in tab.page.locator("#emotions-panel input").all():
        if box.get_attribute("value") not in FEW:
            box.uncheck()
    tab.page.wait_for_selector(".chip.is-set:has-text('Only 3 emotions')")
    tab.page.wait_for_function(
        "() => { const found = document.querySelector('.result').dataset.prediction;"
        " return found && Object.keys(JSON.parse(found)[0].probabilities).length === 3; }"
    )
    few = tab.prediction()
    assert few["probabilities"] == pytest.approx(expected.only(FEW).predict(clip).probabilities, abs=3e-3)
    tab.wait_for_answer()
    timeline = json.loads(tab.saved("-timeline.json"))
    assert (timeline["settled_on"], timeline["labels"]) == (12, FEW)
    tab.page.click("button:has-text('Forget')")
    tab.page.wait_for_selector("button:has-text('Get used to me')")
    tab.page.wait_for_function("() => !document.querySelector('.settled-on')")
    assert tab.page.locator(":focus").inner_text() == "Get used to me"


def test_sentences_from_the_microphone_count_and_the_keyboard_suffices(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab("live", viewport={"width": 390, "height": 844})
    tab.page.focus("button:has-text('Get used to me')")
    tab.page.keyboard.press("Enter")
    record = tab.page.locator("#settle-panel button:has-text('Record a sentence')")
    assert tab.page.locator("button:has-text('Use these')").is_disabled()
    for n in range(1, 6):
        record.focus()
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_function("() => /Recording 0:0[2-9]/.test(document.body.innerText)")
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector(f".adjusting[data-recordings='{n}'] button:has-text('Record a sentence'):enabled")
    dots = tab.page.locator(".settle-dots")
    assert (dots.get_attribute("aria-valuenow"), dots.get_attribute("aria-valuetext")) == ("5", "5 of 10 recordings.")
    tab.page.focus("button:has-text('Use these')")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".chip.is-set:has-text('Settled on 5 recordings')")
    assert tab.page.locator(":focus").inner_text() == "Settled on 5 recordings"
    tab.go("try")
    assert tab.page.locator("section.view:not(.live) .chip.is-set").is_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_recording_that_cannot_be_used_does_not_stop_the_others(
    open_tab: Callable[..., Tab], voices: list[Path], tmp_path: Path
) -> None:
    tab = open_tab()
    (tmp_path / "notes.wav").write_text("no recording")
    tab.page.click("button:has-text('Get used to me')")
    files = [tmp_path / "notes.wav", *voices[:3]]
    tab.page.set_input_files("#settle-panel input[type=file]", [str(path) for path in files])
    tab.page.wait_for_selector(".adjusting[data-recordings='3']")
    assert "notes.wav" in tab.page.inner_text("#settle-panel .notice")
    assert tab.page.locator("button:has-text('Use these')").is_disabled()
    assert "5 or more are needed" in tab.page.inner_text(".settle-count")


def test_forget_also_ends_the_recordings_that_are_being_processed(
    open_tab: Callable[..., Tab], voices: list[Path]
) -> None:
    tab = open_tab()
    settle(tab, voices)
    tab.page.set_input_files("#settle-panel input[type=file]", [str(path) for path in voices])
    tab.page.wait_for_selector("#settle-panel .note:has-text('Processing')")
    tab.page.click("button:has-text('Forget')")
    tab.page.wait_for_selector("#settle-panel button:has-text('Record a sentence'):enabled")
    assert tab.page.locator(".adjusting").get_attribute("data-recordings") == "0"
    assert not tab.page.locator(".chip.is-set").count()


SLOW_MICROPHONE = """() => {
    window.opened = [];
    window.allow = null;
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        await new Promise((allow) => { window.allow = allow; });
        const stream = await open(wanted);
        window.opened.push(...stream.getTracks());
        return stream;
    };
}"""


@pytest.mark.parametrize(
    ("view", "button"),
    [
        ("try", ".entry button:has-text('Record')"),
        ("try", "#settle-panel button.is-first"),
        ("live", ".live-control button"),
    ],
)
def test_a_view_that_is_left_while_the_microphone_is_opened_leaves_it_closed(
    open_tab: Callable[..., Tab], view: str, button: str
) -> None:
    """The browser asks for permission, which can take any time."""
    tab = open_tab(view)
    tab.page.evaluate(SLOW_MICROPHONE)
    if "settle" in button:
        tab.page.click("button:has-text('Get used to me')")
    tab.page.click(button)
    tab.page.wait_for_function("() => window.allow")
    tab.page.click(button)  # again: one microphone is opened, not two
    tab.go("about")
    tab.page.evaluate("() => window.allow()")
    tab.page.wait_for_function(
        "() => window.opened.length && window.opened.every((track) => track.readyState === 'ended')"
    )
    assert tab.page.evaluate("window.opened.length") == 1
    tab.go(view)
    assert not tab.page.locator("button.is-on").count()


def test_a_servers_own_profile_is_used_in_the_browser_and_on_the_server(
    built: Path,
    open_tab: Callable[..., Tab],
    voices: list[Path],
    clip: Path,
    recognizer: Recognizer,
    tmp_path: Path,
) -> None:
    settled = recognizer.settle(voices)
    assert settled.settled is not None
    settling.write(settled.settled, tmp_path / "room.json")
    expected, plain = settled.predict(clip), recognizer.predict(clip)
    with serving("--settled", str(tmp_path / "room.json")) as address:
        tab = open_tab(at=address, offline=False)
        assert tab.page.locator(".chip.is-set").inner_text() == "Settled on 12 recordings"
        for where in ("browser", "server"):
            if where == "server":
                switch(tab)
            tab.choose(clip)
            tab.page.wait_for_selector(f".took:has-text('{where}')")
            tab.wait_for_answer()
            found = tab.prediction()
            assert found["settled_on"] == 12
            assert found["probabilities"] == pytest.approx(expected.probabilities, abs=2e-3)
        tab.page.click("button:has-text('Forget')")
        tab.page.wait_for_function("() => !document.querySelector('.settled-on')")
        tab.wait_for_answer()
        assert tab.prediction()["probabilities"] == pytest.approx(plain.probabilities, abs=2e-3)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_violation_in_the_panels(
    open_tab: Callable[..., Tab], voices: list[Path], scheme: str, width: int
) -> None:
    tab = open_tab(viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce")
    tab.page.click("button:has-text('Only some emotions')")
    tab.page.uncheck("#only-calm")
    tab.page.click("button:has-text('Get used to me')")
    assert violations(tab) == []
    tab.page.set_input_files("#settle-panel input[type=file]", [str(path) for path in voices])
    tab.page.wait_for_selector(".chip.is-set:has-text('Settled on 12 recordings')")
    assert violations(tab) == []
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
