"""`comparison.write`: the files, no external resources, and no file replaced without `overwrite`."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from emocatcher.foundation.errors import OutputError
from emocatcher.reports import comparison

FILES = {"all.html", *(f"all-{name}.{kind}" for name in ("scores", "reliability") for kind in ("svg", "png"))}


class Page(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text = source, ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def written(several: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = comparison.compare(list(several.values()))
    return comparison.write(found, tmp_path_factory.mktemp("page") / "deep" / "all.html")


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text(encoding="utf-8"))


def test_page_and_figures_are_written_to_one_folder(written: Path) -> None:
    assert {path.name for path in written.parent.iterdir()} == FILES


def test_page_loads_no_external_resource(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, name, value)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert not re.findall(r"@import|url\((?!#)", page.source)
    assert "default-src 'none'" in page.source


def test_each_name_is_escaped_once(page: Page, several: dict[str, Path]) -> None:
    assert not {"b", "i"} & {tag for tag, _ in page.tags}
    for run_dir in several.values():
        assert run_dir.name in page.text
    assert "&amp;lt;" not in page.source


def test_page_has_the_style_of_a_report(page: Page) -> None:
    from importlib import resources

    assert (resources.files("emocatcher.reports.run_report") / "style.css").read_text(encoding="utf-8") in page.source
    assert [tag for tag, _ in page.tags].count("style") == 1
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    anchors = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert anchors
    assert anchors <= set(ids)


def test_sections_are_by_shared_speakers_with_separate_speakers_first(page: Page) -> None:
    positions = [
        page.text.index(words) for words in ("Speakers not shared:", "Speakers possibly shared:", "Speakers shared:")
    ]
    assert positions == sorted(positions)
    shared = [attributes for tag, attributes in page.tags if tag == "td" and attributes.get("class") == "shared"]
    assert len(shared) == 5
    assert "Do not compare these with each other" in page.text.split("Paired tests")[0]
    assert sum(attributes.get("class") == "mark" for _, attributes in page.tags) >= 2
    assert "shared-s1, seed 1" in page.text


def test_score_table_does_not_repeat_the_table_of_settings(page: Page) -> None:
    tables = page.source.split("<thead>")[1:]
    scores, _, settings = (re.findall(r'<th scope="col">([^<]+)<', table.split("</thead>")[0]) for table in tables)
    assert {"accuracy (WAR)", "ECE"} <= set(scores)
    assert {"preset", "epochs", "test utterances"} <= set(settings)
    assert not set(scores) & set(settings)


def test_every_table_scrolls_inside_the_column_of_the_page(page: Page) -> None:
    assert len(re.findall(r'<div class="scroll[^"]*"[^>]*>\s*<table>', page.source)) == page.source.count("<table>")
    style = page.source.split("<style>")[1].split("</style>")[0]
    widths = [rule for rule in re.findall(r"[^{}]*\.compared *\{[^}]*\}", style) if "width" in rule or "margin" in rule]
    assert not widths  # the column is as wide as the table, so the table need not leave it
    assert "main, header, footer, nav ul { max-width: 80rem; }" in style


def test_figures_follow_the_theme_of_the_page(page: Page) -> None:
    for svg in re.findall(r"<svg.*?</svg>", page.source, flags=re.DOTALL):
        assert not re.search("#ffffff|#222222|<image", svg)  # an image of the recall would stay light
        assert "var(--ink)" in svg


def test_the_same_runs_give_the_same_bytes(written: Path, several: dict[str, Path], tmp_path: Path) -> None:
    again = comparison.write(comparison.compare(list(several.values())), tmp_path / "all.html")
    for name in FILES:
        assert (again.parent / name).read_bytes() == (written.parent / name).read_bytes(), name


@pytest.mark.parametrize("name", sorted(FILES))
def test_existing_files_are_not_replaced_without_overwrite(several: dict[str, Path], tmp_path: Path, name: str) -> None:
    found = comparison.compare([several["apart"]])
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        comparison.write(found, tmp_path / "all.html")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"
    comparison.write(found, tmp_path / "all.html", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_path_that_cannot_be_a_page_is_refused(several: dict[str, Path], tmp_path: Path) -> None:
    found = comparison.compare([several["apart"]])
    with pytest.raises(OutputError, match=r"ends in \.html"):
        comparison.write(found, tmp_path / "all.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write the comparison"):
        comparison.write(found, tmp_path / "file" / "all.html")


def test_comparison_survives_a_round_trip_through_json(several: dict[str, Path]) -> None:
    found = comparison.compare(list(several.values()))
    assert msgspec.json.decode(msgspec.json.encode(found), type=comparison.Comparison) == found
