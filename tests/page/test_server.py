"""The page on `emocatcher serve`: the switch, the API, the WebSocket, the clips to guess, the token."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from emocatcher.foundation.labels import EMOTIONS
from emocatcher.models import model_folder
from emocatcher.recognition.recognizer import Recognizer, load

from .conftest import ROOT, Tab

pytestmark = pytest.mark.page


@contextmanager
def serving(*flags: str, before: Path | None = None) -> Iterator[str]:
    """Start a server, with modules of the folder `before` in place of the installed ones; yield its address."""
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    command = [sys.executable, "-m", "emocatcher", "serve", "--port", "0", "--workers", "1", *flags]
    places = [str(place) for place in (before, ROOT / "src") if place is not None]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert found, line
            wait_until_ready(found[0])
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=30)


def wait_until_ready(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}readyz"):
                return
        except urllib.error.HTTPError:
            time.sleep(0.1)
    pytest.fail("the server was not ready within 30 s")


@pytest.fixture(scope="module")
def clips(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listen")
    for path in sorted(voices_dir.rglob("03-01-*.wav"))[::12][:12]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def server(built: Path, clips: Path) -> Iterator[str]:
    with serving("--listen-corpus", str(clips)) as address:
        yield address


def switch(tab: Tab) -> None:
    tab.page.check("#where-server", force=True)
    tab.page.wait_for_selector(".foot.is-server")


def test_recognition_in_the_browser_sends_nothing_to_the_server(
    open_tab: Callable[..., Tab], server: str, clip: Path, recognizer: Recognizer
) -> None:
    tab = open_tab(at=server)
    assert tab.page.is_checked("#where-browser")
    tab.choose(clip)
    tab.wait_for_answer()
    expected = recognizer.predict(clip).probabilities
    assert tab.prediction()["probabilities"] == pytest.approx(expected, abs=1e-3)
    assert tab.requests == []


def test_the_servers_csp_allows_the_microphone(open_tab: Callable[..., Tab], server: str) -> None:
    tab = open_tab("live", at=server)
    tab.page.click("text=Start the microphone")
    tab.page.wait_for_function("() => Number(document.querySelector('section.live').dataset.windows) >= 2")
    assert tab.page.locator(".live-chart rect").count() > 0
    assert not tab.page.is_visible(".notice.is-shown")


def test_recognition_on_the_server_shows_the_apis_answer(
    open_tab: Callable[..., Tab], server: str, clip: Path, recognizer: Recognizer
) -> None:
    tab = open_tab(at=server, offline=False)
    switch(tab)
    tab.choose(clip)
    tab.wait_for_answer()
    found, expected = tab.prediction(), recognizer.predict(clip)
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert [one["code"] for one in found["warnings"]] == [one.code for one in expected.warnings]
    assert {url.removeprefix(server).partition("?")[0] for url in tab.requests} == {"v1/predict", "v1/timeline"}
    assert "by the server" in tab.page.inner_text(".answer")
    assert tab.console == []


def test_a_refusal_of_the_server_shows_its_detail_and_retry_time(
    open_tab: Callable[..., Tab], server: str, clip: Path, tmp_path: Path
) -> None:
    tab = open_tab(at=server, offline=False)
    switch(tab)
    tab.page.route("**/v1/predict?*", lambda route: route.fulfill(
        status=429, headers={"Retry-After": "7"}, content_type="application/problem+json",
        body='{"title": "Busy", "detail": "Too many recordings at once", "status": 429}'))  # fmt: skip
    tab.choose(clip)
    tab.page.wait_for_selector(".notice.is-shown")
    text = tab.page.inner_text(".notice.is-shown")
    assert "Too many recordings at once" in text
    assert "7 s" in text


def test_the_servers_csp_allows_the_page_in_korean_in_which_the_servers_words_are_marked_as_english(
    open_tab: Callable[..., Tab], server: str, clip: Path
) -> None:
    size = {"width": 390, "height": 844}
    tab = open_tab(at=server, offline=False, viewport=size, locale="ko-KR")
    assert tab.page.inner_text("label[for=where-server]") == "이 서버"
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert tab.console == []
    switch(tab)
    tab.page.route("**/v1/predict?*", lambda route: route.fulfill(
        status=429, headers={"Retry-After": "7"}, content_type="application/problem+json",
        body='{"title": "Busy", "detail": "Too many recordings at once", "status": 429}'))  # fmt: skip
    tab.choose(clip)
    tab.page.wait_for_selector(".notice.is-shown")
    assert tab.page.inner_text(".notice.is-shown [lang=en]") == "Too many recordings at once"
    assert tab.page.inner_text(".notice.is-shown .notice-next") == "7초 뒤에 다시 시도하세요."


def test_live_on_the_server_uses_the_websocket(open_tab: Callable[..., Tab], server: str) -> None:
    tab = open_tab("live", at=server, offline=False)
    switch(tab)
    tab.page.click("text=Start the microphone")
    tab.page.wait_for_function("() => Number(document.querySelector('section.live').dataset.windows) >= 3")
    tab.page.click("text=Stop")
    assert any(url.startswith("ws://") and url.endswith("/v1/stream") for url in tab.requests)
    assert not tab.page.is_visible(".notice.is-shown")
    assert tab.console == []


def test_a_round_with_the_servers_clips_reveals_no_emotion_in_addresses(
    open_tab: Callable[..., Tab], server: str, clips: Path
) -> None:
    tab = open_tab("guess", at=server, offline=False)
    tab.page.click("text=Start the round")
    for i in range(10):
        tab.page.wait_for_function("i => document.body.innerText.includes(`Clip ${i} of 10`)", arg=i + 1)
        tab.page.wait_for_selector(".choice:not([disabled])")
        tab.page.keyboard.press("1")
    tab.page.wait_for_selector(".comparison")
    rows = tab.saved("guesses.csv").decode().splitlines()[1:]
    assert len(rows) == 10
    truths = {EMOTIONS[int(path.name[6:8]) - 1] for path in clips.iterdir()}
    assert {row.split(",")[1] for row in rows} <= truths
    assert not any(re.search(r"03-01-\d\d", url) for url in tab.requests), "a name reveals the emotion"
    assert tab.console == []


def test_the_page_of_a_server_with_tokens_asks_for_one_before_it_shows_a_model(
    open_tab: Callable[..., Tab], built: Path, clip: Path
) -> None:
    def enter(tab: Tab) -> None:
        tab.page.goto(tab.address)
        tab.page.fill("#token", "wrong")
        tab.page.click("text=Use it")
        tab.page.wait_for_selector(".token [role=alert]:has-text('did not accept')")
        assert not tab.page.is_visible("#try-heading")
        assert not tab.page.is_visible(".foot"), "it says that the network is being loaded"
        tab.page.fill("#token", "open-sesame")
        tab.page.click("text=Use it")
        tab.page.wait_for_selector("html[data-network=ready]")
        tab.console.clear()  # the browser logs the two refusals
        tab.requests.clear()

    with serving("--token", "open-sesame") as address:
        tab = open_tab(at=address, offline=False, prepare=enter, opened=True)
        assert tab.page.is_checked("#where-browser")
        assert tab.page.is_visible(".foot")
        tab.choose(clip)
        tab.wait_for_answer()
        assert "in this browser" in tab.page.inner_text(".answer")
        assert tab.requests == []
        switch(tab)
        tab.choose(clip)
        tab.page.wait_for_selector(".took:has-text('by the server')")
        tab.wait_for_answer()
        assert tab.console == []


LABELS = ("calm and slow", "aroused", "Zärtlich", "<b>bored</b>", "e", "wütend", "glad, or so", "happy")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the name and the version of the package's, and with other labels, temperature and weights."""
    pytest.importorskip("onnx", reason="needs the extra 'export'")
    from emocatcher.models.onnx_graphs import stored_weights, to_onnx

    bundled = model_folder.read(model_folder.bundled())
    weights = {name: np.asarray(value * 0.97, value.dtype) for name, value in stored_weights.read(bundled).items()}
    config = msgspec.structs.replace(bundled.config, labels=LABELS, temperature=3.0, abstain_below=0.3)
    folder = tmp_path_factory.mktemp("mine") / "model"
    model_folder.write(folder, config, weights, to_onnx(weights, config.settings, LABELS))
    return folder


def labels(tab: Tab, place: str) -> list[str]:
    """The labels in a list of the page, each without its symbol."""
    return [text.splitlines()[-1] for text in tab.page.locator(place).all_inner_texts()]


def test_the_page_runs_the_served_model_with_its_labels_and_colours(
    open_tab: Callable[..., Tab], built: Path, mine: Path, clip: Path, spoken: Path
) -> None:
    mean = load(mine)
    with serving("--model", str(mine)) as address:
        tab = open_tab(at=address)
        assert "emocatcher-3 runs in this browser" in tab.page.inner_text(".foot")
        assert labels(tab, ".known li") == list(LABELS)
        tab.choose(clip)
        tab.wait_for_answer()
        assert tab.prediction()["probabilities"] == pytest.approx(mean.predict(clip).probabilities, abs=1e-3)
        colours = tab.page.eval_on_selector_all(
            ".answer .bar-row .bar-fill", "bars => bars.map((bar) => getComputedStyle(bar).backgroundColor)"
        )
        assert len(set(colours)) == len(LABELS)
        tab.choose(spoken)
        tab.page.wait_for_function("() => document.querySelector('.result').dataset.prediction?.includes('spoken')")
        tab.wait_for_answer()
        timeline = json.loads(tab.saved("-timeline.json"))
        assert timeline["labels"] == list(LABELS)
        assert {one["emotion"] for one in timeline["windows"]} <= {*LABELS, None}
        assert 'fill="#' in tab.saved(".svg").decode()
        tab.go("about")
        assert labels(tab, "section.about .emotions li") == list(LABELS)
        assert "3.000" in tab.page.inner_text(".facts")
        tab.go("guess")
        tab.go("live")
        assert labels(tab, "section.live .bar-label") == list(LABELS)


def test_without_a_graph_for_browsers_the_page_offers_only_the_server(
    open_tab: Callable[..., Tab], built: Path, mine: Path, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "onnx.py").write_text("raise ImportError('the extra export is not installed')")
    with serving("--model", str(mine), before=tmp_path) as address:
        tab = open_tab(at=address, offline=False)
        assert not any("waveform.onnx" in url for url in tab.requests)
        assert not tab.page.locator("#where-browser").count()
        assert "The model emocatcher-3 runs on this server only" in tab.page.inner_text(".foot")
        tab.choose(clip)
        tab.wait_for_answer()
        assert "by the server" in tab.page.inner_text(".answer")
        assert tab.prediction()["probabilities"].keys() == set(LABELS)
        assert tab.console == []


def test_a_network_that_fails_in_the_browser_leaves_the_server(
    open_tab: Callable[..., Tab], server: str, clip: Path
) -> None:
    def spoil(tab: Tab) -> None:
        tab.page.route("**/waveform.onnx", lambda route: route.fulfill(status=200, body=b"no graph"))

    tab = open_tab(at=server, offline=False, prepare=spoil)
    assert "runs on this server only" in tab.page.inner_text(".foot")
    tab.choose(clip)
    tab.wait_for_answer()
    assert "by the server" in tab.page.inner_text(".answer")


def test_a_server_that_does_not_answer_is_named_and_no_other_model_runs(
    open_tab: Callable[..., Tab], server: str
) -> None:
    def refuse(tab: Tab) -> None:
        tab.page.route("**/v1/model", lambda route: route.abort())
        tab.page.goto(tab.address)
        tab.page.wait_for_selector("html[data-network=failed]")

    tab = open_tab(at=server, offline=False, prepare=refuse, opened=True)
    assert "The server does not answer" in tab.page.inner_text(".notice.is-shown")
    assert not any("onnx" in url for url in tab.requests)
