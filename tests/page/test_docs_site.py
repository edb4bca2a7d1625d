"""The docs site in Chromium, opened from its folder without a server: search, widths, colours, no request elsewhere.

And the page that the tutorial on web pages has in full: it recognises with the network that its command exports.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emocatcher.recognition.recognizer import Recognizer

from .conftest import PATIENCE_MS, ROOT, serving_files

BUILT = ROOT / "dist" / "docs"
RUNTIME = ROOT / "web" / "node_modules" / "onnxruntime-web" / "dist"

pytestmark = pytest.mark.page


@pytest.fixture(scope="module")
def open_docs(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open pages of the site; afterwards, check that none logged an error or asked another host."""
    if not (BUILT / "index.html").is_file():
        pytest.skip("needs the built docs: run `make docs`")
    contexts, wrong = [], []

    def opener(page: str, **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        opened = contexts[-1].new_page()
        opened.set_default_timeout(PATIENCE_MS)
        opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        opened.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto((BUILT / page).as_uri())
        return opened

    yield opener
    for context in contexts:
        context.close()
    assert wrong == []


def test_search_works_from_a_folder(open_docs: Callable[..., Any]) -> None:
    page = open_docs("index.html", viewport={"width": 1280, "height": 900})
    page.click("input[name=query]")
    page.wait_for_function("document.querySelector('.md-search-result__meta').textContent.includes('Type to start')")
    page.keyboard.type("temperature")
    found = page.wait_for_selector(".md-search-result__item a")
    address = found.get_attribute("href").partition("?")[0]
    assert address.startswith("file:")
    assert "contributing" not in address, "the map of the source is found before the docs"
    assert int(page.inner_text(".md-search-result__meta").split()[0]) > 1


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_pages_fit_a_phone_and_a_screen_in_both_colours(open_docs: Callable[..., Any], width: int, scheme: str) -> None:
    pages = [path.relative_to(BUILT).as_posix() for path in sorted(BUILT.rglob("*.html")) if path.name != "404.html"]
    page = open_docs("index.html", viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.get_attribute("body", "data-md-color-scheme") == {"light": "default", "dark": "slate"}[scheme]
    for name in pages:
        page.goto((BUILT / name).as_uri(), wait_until="load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} pixels"


def test_the_page_of_the_tutorial_recognises_in_the_browser(
    browser: Any, recognizer: Recognizer, clip: Path, tmp_path: Path
) -> None:
    tutorial = (ROOT / "docs" / "web-page.md").read_text(encoding="utf-8")
    (html,) = re.findall(r"^```html\n(.*?)^```$", tutorial, flags=re.DOTALL | re.MULTILINE)
    (command,) = re.findall(r"^emocatcher (export .*)$", tutorial, flags=re.MULTILINE)
    (tmp_path / "site").mkdir()
    words = [sys.executable, "-m", "emocatcher", *command.split(), "--clips", "1"]
    subprocess.run(words, check=True, cwd=tmp_path, capture_output=True)
    for name in re.findall(r"^cp node_modules/onnxruntime-web/dist/(\S+) site/$", tutorial, flags=re.MULTILINE):
        shutil.copy(RUNTIME / name, tmp_path / "site")
    (tmp_path / "site" / "index.html").write_text(html, encoding="utf-8")
    with serving_files(tmp_path / "site") as address:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_function("document.getElementById('answer').textContent.startsWith('Choose')")
        page.set_input_files("#file", str(clip))
        page.wait_for_function("document.getElementById('answer').textContent.includes('voice from')")
        shown = page.inner_text("#answer").splitlines()
        page.close()
    assert all(url.startswith(address) for url in asked)
    expected = recognizer.predict(clip)
    assert expected.emotion is not None
    shares = {line.split()[0]: int(line.split()[1].rstrip("%")) for line in shown[:-1]}
    for label, probability in expected.probabilities.items():
        assert abs(shares[label] - 100 * probability) <= 1, label
    assert shown[-1] == f"voice from {expected.voiced_start_s:.2f} to {expected.voiced_end_s:.2f} s"
