import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from emocatcher import audit, report, result
from emocatcher.report import html
from emocatcher.report.style import OPTIMISTIC

FOLDERS = ["holdout_dir", "folds_dir", "odd_dir"]


class Page(HTMLParser):
    """What the tests look at: tags with their attributes, and the visible text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module", params=FOLDERS)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(request.getfixturevalue(request.param) / "report.html")


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, name, value)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert "@import" not in page.source
    assert not re.findall(r"url\((?!#)", page.source)
    policy = [item["content"] for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert "default-src 'none'" in str(policy[0])


def test_ids_are_unique_and_anchors_hold(page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in page.tags if attributes.get("id"))
    assert max(ids.values()) == 1
    anchors = [str(item["href"])[1:] for item in page.all("a")]
    assert len(anchors) >= 6
    assert set(anchors) <= set(ids)
    labelled = {attributes["aria-labelledby"] for _, attributes in page.tags if attributes.get("aria-labelledby")}
    assert labelled <= set(ids)


def test_the_page_can_be_read_without_seeing_it(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    figures, drawings = len(page.all("figure")), page.all("svg")
    assert len(drawings) == figures == len(page.all("figcaption")) >= 5
    assert all(item["role"] == "img" and len(item["aria-label"] or "") > 30 for item in drawings)
    assert len(page.all("table")) == len(page.all("caption")) >= 5
    assert page.all("nav")
    assert page.all("main")
    assert "prefers-color-scheme: dark" in page.source
    assert "@media print" in page.source


def test_no_style_of_a_figure_reaches_the_page(page: Page) -> None:
    assert len(page.all("style")) == 1


def test_the_page_is_not_heavy(page: Page) -> None:
    assert len(page.source) < 5e6


def test_labels_are_escaped(odd_dir: Path) -> None:
    page = Page(odd_dir / "report.html")
    assert not page.all("b")
    for label in report.read(odd_dir).result.labels:
        assert label in page.text
    assert "&amp;lt;" not in page.source  # escaped once, not twice


def test_synthetic_and_optimistic_are_marked_where_they_are_true(odd_dir: Path, holdout_dir: Path) -> None:
    odd, holdout = (Page(folder / "report.html") for folder in (odd_dir, holdout_dir))
    assert "These voices were made by a program" in odd.text
    assert "SYNTHETIC" not in holdout.text
    assert sum(item.get("class") == "mark" for item in odd.all("span")) >= 4
    assert odd.text.count(OPTIMISTIC) > 4
    assert OPTIMISTIC not in holdout.text
    assert any(item.get("class") == "optimistic" for item in holdout.all("th"))  # its best epoch on test


def test_the_protocol_and_what_it_cannot_claim_head_the_page(folds_dir: Path) -> None:
    page = Page(folds_dir / "report.html")
    head = page.text.split("Results")[0]
    run = report.read(folds_dir)
    assert "Speakers shared between training and test: yes" in head
    assert run.result.cannot_claim in head
    assert "best epoch on the validation part" in head
    assert "2000 resamples of 24 speakers" in head
    assert f"Lowest fold: {run.result.lowest_fold}; highest: {run.result.highest_fold}" in head


def test_the_audit_stands_at_the_head_marked_unless_it_is_clean(folds_dir: Path) -> None:
    run = report.read(folds_dir)
    assert "Audit: not audited" in Page(folds_dir / "report.html").text.split("Results")[0]
    leak = audit.Leak(kind="same-audio", text="<b>", folds=(1,))
    for leaks, stamp in (((), "Audit: no leak found"), ((leak,), "Audit: the same recording on both sides of fold 1")):
        found = audit.Audit(
            corpus="x", protocol="y", n_folds=2, n_utterances=2, n_fingerprints=2, leaks=leaks, notes=()
        )
        source = html.render(dataclasses.replace(run, audit=found), [])
        assert stamp in source
        assert (f'<span class="mark">{stamp}' in source) == bool(leaks)


def test_calibration_and_faithfulness_have_sections_of_their_own(folds_dir: Path, holdout_dir: Path) -> None:
    page = Page(folds_dir / "report.html")
    assert {"#calibration", "#figures"} <= {item["href"] for item in page.all("a")}
    section = page.text.split("How sure, and how often right", 1)[1].split("Figures")[0]
    assert "under the temperature of the other folds" in section
    assert "Calibration and abstaining." in section  # its figure
    assert "fitted on all, for a new model" in section
    for absent in ("How sure, and how often right", "Does attention show"):
        assert absent not in Page(holdout_dir / "report.html").text
    run = report.read(folds_dir)
    estimate = result.Estimate(0.2, (0.1, 0.3))
    names = ("attended", "random", "least", "occlusion", "attended_minus_random", "occlusion_minus_random")
    found = result.Faithfulness(
        **dict.fromkeys((*names, "attended_ahead"), estimate), n_clips=9, share_deleted=0.2, level=0.95,
        resampled="speakers",
    )  # fmt: skip
    proved = dataclasses.replace(run, result=msgspec.structs.replace(run.result, faithfulness=found))
    source = html.render(proved, [])
    assert "Does attention show what the model listened to?" in source
    assert "Attention holds" in source
    assert 'href="#faithfulness"' in source


def test_settings_environment_and_command_are_all_there(folds_dir: Path) -> None:
    page = Page(folds_dir / "report.html")
    run = report.read(folds_dir)
    assert run.settings_text in page.text
    for value in run.environment.values():
        assert str(value) in page.text
    assert "emocatcher train --preset cabg --corpus ravdess --protocol speakers-3 --seed 0" in page.text
    assert run.result.licence in page.text


def test_only_a_reference_run_stands_beside_the_published_figures(holdout_dir: Path, folds_dir: Path) -> None:
    beside = Page(holdout_dir / "report.html")
    assert "Beside the published figures" in beside.text
    assert "87.15" in beside.text
    assert "hwang9u/emocatcher" in beside.text
    assert "this run for 30" in beside.text
    assert "published figures" not in Page(folds_dir / "report.html").text.lower()
