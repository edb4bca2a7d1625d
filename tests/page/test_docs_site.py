"""The docs site in Chromium, opened from its folder without a server: search, widths, colours, no request elsewhere."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BUILT = Path(__file__).parents[2] / "dist" / "docs"

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
    page.fill("input[name=query]", "temperature")
    found = page.wait_for_selector(".md-search-result__item a")
    assert found.get_attribute("href").partition("?")[0].startswith("file:")
    assert int(page.inner_text(".md-search-result__meta").split()[0]) > 1


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_pages_fit_a_phone_and_a_screen_in_both_colours(open_docs: Callable[..., Any], width: int, scheme: str) -> None:
    pages = [path.relative_to(BUILT).as_posix() for path in sorted(BUILT.rglob("*.html")) if path.name != "404.html"]
    page = open_docs("index.html", viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.get_attribute("body", "data-md-color-scheme") == {"light": "default", "dark": "slate"}[scheme]
    for name in pages:
        page.goto((BUILT / name).as_uri(), wait_until="load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} pixels"
