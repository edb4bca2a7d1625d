"""The page on `emocatcher serve`: the switch, the API, the WebSocket, the clips to guess, the token."""

from __future__ import annotations

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

import pytest

from emocatcher.foundation.labels import EMOTIONS
from emocatcher.recognition.recognizer import Recognizer

from .conftest import ROOT, Tab

pytestmark = pytest.mark.page


@contextmanager
def serving(*flags: str) -> Iterator[str]:
    """Start a server; yield its address."""
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    command = [sys.executable, "-m", "emocatcher", "serve", "--port", "0", "--workers", "1", *flags]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
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
    tab.page.route("**/v1/predict", lambda route: route.fulfill(
        status=429, headers={"Retry-After": "7"}, content_type="application/problem+json",
        body='{"title": "Busy", "detail": "Too many recordings at once", "status": 429}'))  # fmt: skip
    tab.choose(clip)
    tab.page.wait_for_selector(".notice.is-shown")
    text = tab.page.inner_text(".notice.is-shown")
    assert "Too many recordings at once" in text
    assert "7 s" in text


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


def test_the_page_asks_for_the_token_of_a_server(open_tab: Callable[..., Tab], built: Path, clip: Path) -> None:
    with serving("--token", "open-sesame") as address:
        tab = open_tab(at=address, offline=False)
        tab.page.check("#where-server", force=True)
        tab.page.fill("#token", "wrong")
        tab.page.click("text=Use it")
        tab.page.wait_for_selector(".token [role=alert]:has-text('did not accept')")
        tab.page.fill("#token", "open-sesame")
        tab.page.click("text=Use it")
        tab.page.wait_for_selector(".foot.is-server")
        tab.choose(clip)
        tab.wait_for_answer()
        assert "by the server" in tab.page.inner_text(".answer")
