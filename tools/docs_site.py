"""Collect the pages of the docs site in one folder, for `make docs`: `python tools/docs_site.py FOLDER`.

Pages of `docs/` are read on a code host, too. So their links lead to files of the repository, and what is made from the
program is a marker, `<!-- made: NAME -->`, that is invisible there. Here each marker is replaced, and each link to a
file that is a page under another name on the site is changed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from made_parts import PARTS

ROOT = Path(__file__).parents[1]
# Other documents of the repository → their pages.
OTHERS = {
    "README.md": "start.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "measurements.md",
    "NOTICE": "notice.md",
}
ANCHORS = {"README.md#what-to-trust-it-with": "trust.md"}
_FOUND_LAST = "---\nsearch:\n  boost: 0.1\n---\n"  # they have all words; the docs come first
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]*)(#[^)\s]*)?(?=\))")
_MADE = re.compile(r"^<!-- made: (\S+) ?(.*?) -->$", flags=re.MULTILINE)
_FENCED = re.compile(r"(^```.*?^```$)", flags=re.DOTALL | re.MULTILINE)


def collect(target: Path) -> None:
    """Write all pages and their pictures into an empty folder.

    Raises:
        ValueError: if a page links to a file that is not on the site, or names a part that nothing makes.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target)
    shutil.copytree(ROOT / "benchmarks" / "figures", target / "figures")
    for source, page in OTHERS.items():
        if source != "README.md":
            (target / page).write_text(_FOUND_LAST + _page(ROOT / source), encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md")):
        (target / path.relative_to(ROOT / "docs")).write_text(_page(path), encoding="utf-8")


def _page(path: Path) -> str:
    """The text of a document, with its parts made and its links leading to pages."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return f"# Sources\n\n```text\n{text}```\n"
    text = _MADE.sub(lambda match: _made(match, path), text)
    pieces = _FENCED.split(text)
    pieces[::2] = [_LINK.sub(lambda match: _link(match, path), piece) for piece in pieces[::2]]
    return "".join(pieces)


def _made(match: re.Match[str], path: Path) -> str:
    name, argument = match.groups()
    if name not in PARTS:
        raise ValueError(f"{path.relative_to(ROOT)}: nothing makes '{name}'. Allowed: {', '.join(PARTS)}")
    return PARTS[name](argument) if argument else PARTS[name]()


def _link(match: re.Match[str], path: Path) -> str:
    """A link as the site needs it: relative to the page, with the names of the site."""
    file, anchor = match[1], match[2] or ""
    found = _site_name(path)
    linked = Path(os.path.normpath(path.parent / file)).relative_to(ROOT).as_posix()
    if linked + anchor in ANCHORS:
        target, anchor = ANCHORS[linked + anchor], ""
    else:
        target = _site_name(ROOT / linked)
    return os.path.relpath(target, Path(found).parent) + anchor


def _site_name(path: Path) -> str:
    """Where a file of the repository is on the site."""
    name = path.relative_to(ROOT).as_posix()
    for start, place in (("docs/", ""), ("benchmarks/figures/", "figures/")):
        if name.startswith(start) and path.exists():
            return place + name.removeprefix(start)
    if name not in OTHERS:
        raise ValueError(f"'{name}' is linked, but is not on the site. Link to docs/, or to one of {', '.join(OTHERS)}")
    return OTHERS[name]


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
