"""The report page in a browser: no part is cut off, and figures are legible on light and dark pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

# Elements that reach beyond the right edge of the window and are not inside something that scrolls.
_CUT_OFF = """[...document.querySelectorAll('body *')].filter(
    element => !element.closest('.scroll, .paper, nav, pre') && element.getBoundingClientRect().right > innerWidth + 1
).map(element => element.outerHTML.slice(0, 80))"""
# The lowest contrast (WCAG 2) of a figure's text outside images and matrices with the colour behind the figure.
_LOWEST_CONTRAST = """(() => {
    const luminance = colour => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
        const linear = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const contrasts = ['recall', 'curves', 'speakers'].flatMap(name => {
        const paper = document.querySelector(`.figure-${name} .paper`);
        const behind = luminance(getComputedStyle(paper).backgroundColor);
        return [...paper.querySelectorAll('text')].map(text => {
            const ink = luminance(getComputedStyle(text).fill);
            return (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
        });
    });
    return Math.min(...contrasts);
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra 'dev'")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("needs Chromium: install the system's package, or set CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.mark.parametrize("width", [320, 390, 800, 1300])
def test_no_part_of_the_page_is_cut_off(browser: Any, folds_dir: Path, odd_dir: Path, width: int) -> None:
    for folder in (folds_dir, odd_dir):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto((folder / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_CUT_OFF) == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_figures_is_legible(browser: Any, folds_dir: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto((folds_dir / "report.html").as_uri())
    background = page.evaluate("getComputedStyle(document.querySelector('.paper')).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate(_LOWEST_CONTRAST) >= 4.5
    page.close()
