"""The page's views: microphone, live, guess first, saving, about."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import srt

from emocatcher import audio
from emocatcher.cli.card import shares_in_words
from emocatcher.foundation.labels import EMOTIONS, colours
from emocatcher.models import model_folder
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import Timeline
from emocatcher.recognition.timeline.window_tables import to_csv

from .conftest import BUILT, ROOT, Tab, is_doubtful, write_m4a

pytestmark = pytest.mark.page


def test_a_recording_from_the_microphone_is_recognised(tab: Tab) -> None:
    tab.page.click("button:has-text('Record')")
    tab.page.wait_for_function("() => /Recording 0:0[3-9]/.test(document.body.innerText)")
    tab.page.click("text=Stop and recognise")
    tab.wait_for_answer()
    found = tab.prediction()
    assert found["path"] == "recording.wav"
    assert 2.5 < found["duration_s"] < 30
    assert "no-speech" not in {one["code"] for one in found["warnings"]}, "the microphone was silent"
    assert tab.saved(".json")


def test_live_shows_windows_until_it_is_stopped(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab("live")
    tab.page.click("text=Start the microphone")
    tab.page.wait_for_function("() => Number(document.querySelector('section.live').dataset.windows) >= 6")
    tab.page.wait_for_function(  # not at once: the newest window may be a pause
        "emotions => emotions.some((one) => document.querySelector('.live-chart').ariaLabel.includes(one))",
        arg=list(EMOTIONS),
    )
    assert tab.page.locator(".live-chart rect").count() > 6
    tab.page.click("text=Stop")
    n_windows = tab.page.get_attribute("section.live", "data-windows")
    tab.page.wait_for_timeout(1200)
    assert tab.page.get_attribute("section.live", "data-windows") == n_windows
    assert "Stopped" in tab.page.inner_text(".live-word")


def test_leaving_live_closes_the_microphone(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab("live")
    tab.page.click("text=Start the microphone")
    tab.page.wait_for_function("() => Number(document.querySelector('section.live').dataset.windows) >= 1")
    tab.go("about")
    tab.go("live")
    assert tab.page.is_visible("text=Start the microphone")


@pytest.fixture
def named(voices_dir: Path, tmp_path: Path) -> list[Path]:
    """Synthetic voices with RAVDESS's names, two for each of three emotions."""
    clips = (clip for clip in sorted(voices_dir.rglob("*.wav")) if not is_doubtful(clip))
    names = [f"03-01-0{code}-01-01-01-0{actor}.wav" for code in (1, 4, 5) for actor in (1, 2)]
    return [Path(shutil.copy(clip, tmp_path / name)) for clip, name in zip(clips, names, strict=False)]


@pytest.mark.parametrize("tell", [False, True])
def test_a_round_of_guesses_ends_with_the_scores_of_listener_and_model(
    open_tab: Callable[..., Tab], named: list[Path], recognizer: Recognizer, tell: bool
) -> None:
    tab = open_tab("guess")
    if tell:
        tab.page.check("#guess-tell")
    tab.choose(*named, view="guess")
    for i in range(len(named)):
        tab.page.wait_for_function("i => document.body.innerText.includes(`Clip ${i} of 6`)", arg=i + 1)
        tab.page.wait_for_selector(".choice:not([disabled])")
        tab.page.keyboard.press("4")  # sad
        if tell:
            tab.page.wait_for_selector(".reveal")
            tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".comparison")
    you, model = (tab.page.inner_text(f"[data-who='{who}']") for who in ("You", "The model"))
    assert "2 of 6 right" in you
    assert "10% to 70%" in you  # Wilson, 2 of 6
    right = sum(recognizer.predict(path).emotion == EMOTIONS[int(path.name[6:8]) - 1] for path in named)
    assert f"{right} of 6 right" in model
    rows = list(csv.DictReader(io.StringIO(tab.saved("guesses.csv").decode())))
    assert {row["clip"] for row in rows} == {path.name for path in named}
    assert sum(row["guess_is_right"] == "true" for row in rows) == 2
    for row in rows:
        assert row["truth"] == EMOTIONS[int(row["clip"][6:8]) - 1]
        expected = recognizer.predict(next(path for path in named if path.name == row["clip"]))
        assert row["model"] == expected.emotion
        assert float(row["model_probability"]) == pytest.approx(expected.probability, abs=1e-3)


def test_files_without_an_emotion_in_their_names_are_refused_with_a_message(
    open_tab: Callable[..., Tab], spoken: Path
) -> None:
    tab = open_tab("guess")
    tab.choose(spoken, view="guess")
    tab.page.wait_for_selector("section.guess .notice.is-shown")
    assert "03-01-05-02-01-01-16.wav" in tab.page.inner_text("section.guess .notice")


def test_predictions_timelines_and_figures_can_be_saved(tab: Tab, spoken: Path, recognizer: Recognizer) -> None:
    tab.choose(spoken)
    tab.wait_for_answer()
    (prediction,) = json.loads(tab.saved("spoken.json"))
    assert prediction == tab.prediction()
    timeline = msgspec.json.decode(tab.saved("-timeline.json"), type=Timeline)
    assert timeline.model == recognizer.config.name
    # The command line's writer gives the page's CSV file for the page's timeline.
    decoded = msgspec.structs.replace(timeline, windows=list(timeline.windows))
    assert tab.saved(".csv") == to_csv([decoded])
    cues = list(srt.parse(tab.saved(".srt").decode()))
    assert len(cues) == sum(segment.emotion is not None for segment in timeline.segments)
    drawing = ET.fromstring(tab.saved(".svg"))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    boxes = list(drawing.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(boxes) > 200
    doubtful = [segment for segment in timeline.segments if segment.abstain and segment.emotion is not None]
    assert sum("fill-opacity" in box.attrib for box in boxes) == len(doubtful)
    png = tab.saved(".png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(png) > 20_000


def test_the_example_is_a_synthetic_voice_and_the_page_states_it(tab: Tab) -> None:
    tab.page.click("text=Try an example")
    tab.wait_for_answer()
    assert "synthetic voice, made by a program" in tab.page.inner_text(".example-note")
    found = tab.prediction()
    assert found["duration_s"] < 10
    assert "no-speech" not in {one["code"] for one in found["warnings"]}
    assert tab.page.locator(".segment:not(.is-silent)").count() > 1


def test_the_cursor_does_not_cross_the_names_of_the_tracks(tab: Tab) -> None:
    tab.page.click("text=Try an example")
    tab.wait_for_answer()
    tab.page.focus("[role=slider]")
    tab.page.keyboard.press("Home")  # where the names are
    tab.wait_for_rest()
    names = tab.page.locator(".track-name")
    assert names.count() == 4
    line = tab.page.locator(".tracks > .cursor").bounding_box()
    for name in names.all():
        box = name.bounding_box()
        assert box["x"] < line["x"] < box["x"] + box["width"]
        inside = {
            "x": math.ceil(box["x"]), "y": math.ceil(box["y"]),
            "width": math.floor(box["width"]) - 1, "height": math.floor(box["height"]) - 1,
        }  # fmt: skip
        shown = tab.page.screenshot(clip=inside)
        assert tab.page.screenshot(clip=inside, style=".cursor { visibility: hidden }") == shown, name.inner_text()


def test_the_result_is_that_of_the_recording_that_was_opened_last(tab: Tab, clip: Path, tmp_path: Path) -> None:
    late = write_m4a(tmp_path / "late.m4a", *audio.load(clip, 44_100))  # which the browser decodes
    tab.page.evaluate(
        """() => {
            const decode = OfflineAudioContext.prototype.decodeAudioData;
            OfflineAudioContext.prototype.decodeAudioData = async function (...given) {
                OfflineAudioContext.prototype.decodeAudioData = decode;
                await new Promise((resolve) => { window.goOn = resolve; });
                return decode.apply(this, given);
            };
        }"""
    )
    tab.choose(late)
    tab.page.wait_for_function("() => window.goOn")
    tab.choose(clip)
    tab.wait_for_answer()
    tab.page.evaluate("goOn()")
    tab.page.wait_for_timeout(500)  # and the late one does not take its place
    tab.wait_for_answer()
    assert tab.prediction()["path"] == clip.name


def test_a_click_on_the_example_takes_the_last_answer_away_at_once(tab: Tab, clip: Path) -> None:
    tab.choose(clip)
    tab.wait_for_answer()
    state = tab.page.evaluate(
        "() => { document.querySelector('[data-example]').click();"
        " return document.querySelector('.result').dataset.state; }"
    )
    assert state == "reading"
    tab.wait_for_answer()
    assert tab.prediction()["path"] != clip.name


def test_the_answer_for_a_long_recording_is_the_shares_of_its_speech(tab: Tab, spoken: Path) -> None:
    tab.choose(spoken)
    tab.page.wait_for_function("() => document.querySelector('.result').dataset.prediction?.includes('spoken.wav')")
    tab.wait_for_answer()
    shares = tab.prediction()["shares"]
    assert sum(shares.values()) == pytest.approx(1.0)
    words = shares_in_words(shares)
    assert tab.page.get_attribute(".answer .verdict", "data-answer") == words
    shown = tab.page.inner_text(".answer .verdict")
    assert shown.split()[:2] == words.split(",")[0].split()
    segments = json.loads(tab.saved("-timeline.json"))["segments"]
    spoken_s = sum(one["end_s"] - one["start_s"] for one in segments if one["emotion"] is not None)
    assert f"of {spoken_s:.1f} s of speech" in shown
    assert not tab.page.is_visible(".attention")
    assert "ahead of" not in tab.page.inner_text(".answer")
    assert words in tab.saved(".svg").decode()


def test_about_shows_the_model_card(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab("about")
    text = tab.page.inner_text("section.about")
    config = model_folder.read(model_folder.bundled()).config
    facts = (f"{config.n_parameters:,}", config.training.note, "CC BY-NC-SA", "expected calibration error")
    for words in ("not use it to judge people", *facts):
        assert words in text, words


def test_the_pages_colours_equal_the_packages() -> None:
    found = json.loads((ROOT / "web" / "src" / "generated" / "facts.json").read_text(encoding="utf-8"))
    assert found["colours"] == colours(EMOTIONS)


def test_the_first_view_is_small_and_loads_before_the_network(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    timings = tab.page.evaluate(
        """() => ({
            painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
            files: performance.getEntriesByType("resource").map(({ name, startTime }) => [name, startTime]),
        })"""
    )
    network = [start for name, start in timings["files"] if "worker" in name]
    assert network
    assert min(network) >= timings["painted"] - 50
    first = [name for name, start in timings["files"] if start < timings["painted"]]
    sizes = [(BUILT / "assets" / name.rpartition("/")[2]).stat().st_size for name in first if "/assets/" in name]
    assert (BUILT / "index.html").stat().st_size + sum(sizes) <= 150_000  # not compressed


def test_the_pages_files_contain_no_other_hosts_address() -> None:
    for path in [BUILT / "index.html", *(BUILT / "assets").glob("index-*.js"), *(BUILT / "assets").glob("*.css")]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")  # XML namespaces, not addresses
        assert "http://" not in text, path
        assert "https://" not in text, path
