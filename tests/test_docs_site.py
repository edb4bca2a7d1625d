"""The docs site: it builds strictly, its links hold, and no page loads anything from another host."""

import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 60
# What a browser fetches without a click, by element.
FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "link": "href",
}


class Page(HTMLParser):
    """The ids of a page, what it fetches, and where it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.headings = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.ids |= {named[name] for name in ("id", "name") if name in named}
        self.headings += tag == "h1"
        if (address := named.get(FETCHED.get(tag, ""))) and named.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(address)
        if tag == "a" and "href" in named:
            self.links.append(named["href"])


def _pages_in(nav: list[object]) -> Iterator[str]:
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(value, list):
                yield from _pages_in(value)
            else:
                assert isinstance(value, str)
                yield value


def test_every_page_of_the_docs_is_in_the_navigation() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    missing = written - set(_pages_in(nav))
    assert not missing, f"add these pages to nav in mkdocs.yml: {', '.join(sorted(missing))}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly by the commands of `make docs`, in a folder of its own."""
    pytest.importorskip("mkdocs", reason="needs the extra 'docs'")
    folder = tmp_path_factory.mktemp("docs")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for known, own in {
        "docs_dir: dist/docs-pages": f"docs_dir: {folder / 'pages'}",
        "site_dir: dist/docs": f"site_dir: {folder / 'site'}",
        "paths: [src]": f"paths: [{ROOT / 'src'}]",
    }.items():
        assert known in settings
        settings = settings.replace(known, own)
    (folder / "mkdocs.yml").write_text(settings, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for words in (
        [str(ROOT / "tools" / "docs_site.py"), str(folder / "pages")],
        ["-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", str(folder / "mkdocs.yml")],
    ):
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_SECONDS  # of a processor
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > 20
    for path, page in pages.items():
        assert page.fetched, path.name
        for address in page.fetched:
            assert not urlsplit(address).netloc, f"{path.name} loads {address}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", text), style.name


@pytest.mark.slow
def test_every_link_of_the_site_leads_to_a_page_and_to_its_heading(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of a host
            continue
        assert page.headings == 1, path.name
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(site)} links to {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path.relative_to(site)} links to {link}"


@pytest.mark.slow
def test_what_is_made_from_the_program_is_on_the_site(site: Path) -> None:
    from emocatcher.cli.app import NAMES
    from emocatcher.corpora import cards
    from emocatcher.foundation.settings import presets

    def text(page: str) -> str:
        return (site / "reference" / page).read_text(encoding="utf-8")

    for page, names in (
        ("commands.html", NAMES),
        ("corpus-cards.html", cards.names()),
        ("settings.html", presets()),
        ("errors.html", ("DecodeError", "channels-cancel")),
        ("formats.html", ("voiced_start_s", "additionalProperties")),
        ("http.html", ("/v1/predict", "upload_bytes")),
        ("python.html", ("Recognizer", "predict_many", "Timeline", "Client")),
        ("runs.html", ("emocatcher-3-emobox-6-seed0", "emocatcher train --preset")),
    ):
        shown = re.sub(r"<[^>]+>", "", text(page))
        for name in names:
            assert name in shown, f"{page} lacks {name}"
    assert not [page for page in site.rglob("*.html") if "<!-- made:" in page.read_text(encoding="utf-8")]
