"""Open the built page in Chromium, from a static file server on this machine."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.features import extraction, speech_gate
from emocatcher.recognition.recognizer import Recognizer, load

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "dist" / "page"
RATE = 48_000
PATIENCE_MS = 60_000  # enough for a busy machine
# Names, formats, units, commands and keys of a keyboard, which Korean keeps.
_KOREAN_KEEPS = re.compile(
    r"(?<![A-Za-z])(EmoCatcher|emocatcher(-\d| serve --listen-corpus)|RAVDESS|WAV|FLAC|MP3|M4A|Ogg|Opus|WebM|JSON|CSV|"
    r"SRT|SVG|PNG|Page (Up|Down)|Backspace|Enter|Ctrl-C|k?Hz|ms|wav|mp3|svg|txt|crema-d|nemo|"
    r"ravdess(\+ravdess-song)?)(?![A-Za-z])"
)
# Of everything on the page that is not marked as English, whether it is shown now or not.
_ALL_TEXTS = """() => {
    const found = [document.title, document.querySelector("meta[name=description]")?.content ?? ""];
    for (const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL); walker.nextNode(); ) {
        const node = walker.currentNode;
        const element = node instanceof Element ? node : node.parentElement;
        if (!element || element.closest("[lang=en], pre, script, noscript")) continue;
        if (node === element)
            for (const name of ["aria-label", "aria-valuetext", "title", "alt", "placeholder"])
                found.push(element.getAttribute(name) ?? "");
        else if (node instanceof Text) found.push(node.data);
    }
    return found.filter((text) => text.trim());
}"""


@pytest.fixture(scope="session")
def built() -> Path:
    if not (BUILT / "index.html").is_file():
        pytest.skip("needs the built page: run `make page`")
    return BUILT


@pytest.fixture(scope="session")
def chromium() -> str:
    pytest.importorskip("playwright", reason="needs playwright, of the extra 'dev'")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("needs Chromium: install the system's package, or set CHROMIUM to its path")
    return found


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    """Serve a folder's files, as any web host does; yield the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def address(built: Path) -> Iterator[str]:
    with serving_files(built) as address:
        yield address


@pytest.fixture(scope="session")
def spoken(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of synthetic voices, played by the fake microphone."""
    clips = sorted(voices_dir.rglob("*.wav"))[::40][:6]
    waveform = np.concatenate([audio.load(clip, RATE)[0] for clip in clips])
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    soundfile.write(path, waveform / np.abs(waveform).max() * 0.6, RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def browser(chromium: str, spoken: Path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    switches = (
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    )
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=switches)
        yield launched
        launched.close()


class Tab:
    """One open page, with its console messages and network requests."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.console: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._on_console(message))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._on_request(request.url))
        page.on("websocket", lambda socket: self._on_request(socket.url))
        page.set_default_timeout(PATIENCE_MS)

    def open(self, view: str = "try") -> Tab:
        """Load the page, and wait until its network is ready; later requests are in `requests`."""
        self.page.goto(f"{self.address}#{view}")
        self.page.wait_for_selector("html[data-network=ready]")
        self.page.wait_for_load_state("networkidle")
        self.requests.clear()
        return self

    def go(self, view: str) -> None:
        self.page.click(f"nav a[href='#{view}']")
        self.page.wait_for_selector(f"#{view}-heading:visible")

    def choose(self, *paths: Path, view: str = "try") -> None:
        place = "section.view.guess" if view == "guess" else ".entry"
        self.page.set_input_files(f"{place} input[type=file]", [str(path) for path in paths])

    def drop(self, path: Path, kind: str) -> None:
        """Drop one file on the page."""
        arguments = [base64.b64encode(path.read_bytes()).decode(), path.name, kind]
        self.page.evaluate(
            """([content, name, type]) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([bytes], name, { type }));
                const target = document.querySelector(".entry");
                for (const event of ["dragenter", "dragover", "drop"])
                    target.dispatchEvent(new DragEvent(event, { bubbles: true, cancelable: true, dataTransfer }));
            }""",
            arguments,
        )

    def wait_for_answer(self, state: str = "complete") -> None:
        """Wait for the answer for the last recording."""
        self.page.wait_for_selector(f".result[data-state={state}]")

    def wait_for_rest(self) -> None:
        """Wait until all animations that end have ended."""
        self.page.wait_for_function(
            "() => document.getAnimations().every(({ effect, playState }) =>"
            " playState !== 'running' || effect.getComputedTiming().endTime === Infinity)"
        )

    def saved(self, name: str) -> bytes:
        """Click the button that saves a file with this ending; return its content."""
        with self.page.expect_download() as download:
            self.page.click(f"[data-save$='{name}']:visible")
        return Path(download.value.path()).read_bytes()

    def prediction(self) -> dict[str, Any]:
        """Wait for the prediction, and return it."""
        shown = self.page.wait_for_function("() => document.querySelector('.result').dataset.prediction")
        (prediction,) = json.loads(shown.json_value())
        return prediction

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text}")

    def _on_request(self, url: str) -> None:
        if not url.startswith(("blob:", "data:")):  # created by the page itself
            self.requests.append(url)


@pytest.fixture
def open_tab(browser: Any, address: str) -> Iterator[Callable[..., Tab]]:
    """Open tabs, and check afterwards that none logged an error or sent a request after loading.

    `prepare` is called before the page is opened; it may itself open the page, with `opened`.
    """
    tabs, contexts = [], []

    def opener(
        view: str = "try",
        *,
        at: str = "",
        offline: bool = True,
        prepare: Callable[[Tab], object] | None = None,
        opened: bool = False,
        **options: Any,
    ) -> Tab:
        if not options:
            options = {"viewport": {"width": 1280, "height": 900}}
        contexts.append(browser.new_context(accept_downloads=True, **options))
        tab = Tab(contexts[-1].new_page(), at or address)
        if prepare is not None:
            prepare(tab)
        if not opened:
            tab.open(view)
        if offline:
            tabs.append(tab)
        return tab

    yield opener
    console = [line for tab in tabs for line in tab.console]
    requests = [url for tab in tabs for url in tab.requests]
    for context in contexts:
        context.close()
    assert console == []
    assert requests == [], "the page sent a request after it was loaded"


@pytest.fixture(scope="session")
def warm(browser: Any, address: str) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield Tab(context.new_page(), address).open()
    context.close()


@pytest.fixture
def tab(warm: Tab) -> Iterator[Tab]:
    """One tab for many tests; after each, check that it logged no error and sent no request."""
    warm.go("try")
    yield warm
    console, requests = warm.console.copy(), warm.requests.copy()
    warm.console.clear()
    warm.requests.clear()
    assert console == []
    assert requests == [], "the page sent a request after it was loaded"


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return load()


@pytest.fixture(scope="session")
def clip(voices_dir: Path) -> Path:
    return sorted(voices_dir.rglob("*.wav"))[0]


def write_m4a(path: Path, waveform: audio.Waveform, rate: int) -> Path:
    """Write AAC as a phone's recorder does."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        stream.bit_rate = 128_000
        for number, start in enumerate(range(0, len(waveform), 1024)):
            frame = av.AudioFrame.from_ndarray(waveform[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 1024 * number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def odds_of_speech(path: Path) -> float:
    """The log odds of the speech gate at the default model's sample rate; noise of 8 bits changes them by tenths."""
    waveform, rate = audio.load(path, 16_000)
    log_mel = extraction.log_mel_spectrogram(waveform, speech_gate.front_end(rate))
    return speech_gate.log_odds(log_mel, speech_gate.loudness_db(log_mel))


def is_doubtful(path: Path) -> bool:
    """Whether Python asks a second network if this is speech, which the page cannot."""
    return speech_gate.in_doubt(odds_of_speech(path))


def english(page: Any, *names: str) -> list[str]:
    """The texts of a Korean page that have an English word, besides these names of files."""
    texts = page.evaluate(_ALL_TEXTS)
    assert len(texts) > 40
    for name in names:
        texts = [text.replace(name, "") for text in texts]
    return [text for text in texts if re.search(r"[A-Za-z]{2}", _KOREAN_KEEPS.sub("", text))]
