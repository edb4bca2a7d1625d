"""Runs side by side: one table, one figure, paired tests, and a page; honest protocols before leaky ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from emocatcher.comparison import groups, notes, pairs, scores
from emocatcher.comparison.pairs import Pair, Unpaired
from emocatcher.comparison.scores import Row

__all__ = ["Comparison", "Pair", "Row", "Unpaired", "check_place", "compare", "write"]

FIGURES = ("scores", "reliability")


class Comparison(msgspec.Struct, frozen=True):
    """Everything that is said of runs side by side; rates are fractions in 0..1."""

    rows: tuple[Row, ...]  # speakers not shared first
    notes: tuple[str, ...]  # what a reader must know before comparing
    pairs: tuple[Pair, ...]
    unpaired: tuple[Unpaired, ...]


def compare(run_dirs: Sequence[Path]) -> Comparison:
    """Score runs alike, gather those that differ in their seed only, and test pairs that share their folds.

    Args:
        run_dirs: what `emocatcher train --out` wrote.

    Raises:
        RunError: if one is not a finished run folder, or is given twice.
    """
    members = groups.group(groups.read(run_dirs))
    names = groups.group_names(members)
    rows = tuple(scores.row(runs, name) for runs, name in zip(members, names, strict=True))
    paired, unpaired = pairs.examine(members, names)
    return Comparison(rows, tuple(notes.notes(rows, paired)), tuple(paired), tuple(unpaired))


def check_place(page_path: Path, *, overwrite: bool) -> None:
    """Refuse a page that cannot be drawn, or that would replace what is there, before anything is computed.

    Raises:
        OutputError: if the name is no page's, or the page or one of its figures exists and is not to be replaced.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.errors import MissingExtraError, OutputError

    if page_path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"'{page_path}' is no page. Give a name that ends in .html")
    files = [page_path, *(place.with_name(f"{place.name}{kind}") for place in _stems(page_path) for kind in _KINDS)]
    for file in files:
        if file.is_dir() or (file.exists() and not overwrite):
            raise OutputError(
                f"'{file}' exists already. Give --overwrite, another --out, or --json for the numbers alone"
            )
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401, ICN001
    except ImportError:
        raise MissingExtraError("The comparison", "train") from None


def write(comparison: Comparison, page_path: Path, *, overwrite: bool = False) -> Path:
    """Draw the comparison: a self-contained page, and its figures beside it as SVG and PNG.

    The same runs give the same bytes every time.

    Args:
        comparison: what `compare` found.
        page_path: the page; its figures are called after it, `comparison-scores.svg` and so on.
        overwrite: whether to replace what is there.

    Raises:
        OutputError: if something is there, or it cannot be written.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher import storage
    from emocatcher.errors import OutputError

    page_path = Path(page_path)
    check_place(page_path, overwrite=overwrite)
    from emocatcher.comparison import figure, page, reliability
    from emocatcher.report import html, save, style

    try:
        page_path.parent.mkdir(parents=True, exist_ok=True)
        with style.paper():
            drawings = [figure.draw(comparison.rows), reliability.draw(comparison.rows)]
            pictures = [
                html.picture(drawing, save.write(drawing, stem), stem.name)
                for drawing, stem in zip(drawings, _stems(page_path), strict=True)
            ]
        text = page.render(comparison.rows, comparison.notes, comparison.pairs, comparison.unpaired, pictures)
        storage.write_text(page_path, text)
    except OSError as error:
        raise OutputError(f"Cannot write the comparison to '{page_path}': {error.strerror or error}") from None
    return page_path


_KINDS = (".svg", ".png")


def _stems(page_path: Path) -> list[Path]:
    return [page_path.with_name(f"{page_path.stem}-{name}") for name in FIGURES]
