"""Compare runs: one table, figures, paired tests and a page, with runs that share no speakers first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from emocatcher.reports.comparison import groups, notes, pairs, scores
from emocatcher.reports.comparison.pairs import Pair, Unpaired
from emocatcher.reports.comparison.scores import Row

__all__ = ["Comparison", "Pair", "Row", "Unpaired", "check_page_path", "compare", "write"]

FIGURES = ("scores", "reliability")


class Comparison(msgspec.Struct, frozen=True):
    """The comparison of several runs; rates are fractions in 0..1."""

    rows: tuple[Row, ...]  # runs that share no speakers first
    notes: tuple[str, ...]  # what to know before comparing the rows
    pairs: tuple[Pair, ...]
    unpaired: tuple[Unpaired, ...]


def compare(run_dirs: Sequence[Path]) -> Comparison:
    """Score runs, group those that differ only in their seed, and test pairs of groups that share their folds.

    Args:
        run_dirs: folders written by `emocatcher train --out`.

    Raises:
        RunError: if one is not a finished run folder or is given twice, or if none is given.
    """
    members = groups.group(groups.read(run_dirs))
    names = groups.group_names(members)
    rows = tuple(scores.row(runs, name) for runs, name in zip(members, names, strict=True))
    paired, unpaired = pairs.examine(members, names)
    return Comparison(rows, tuple(notes.notes(rows, paired)), tuple(paired), tuple(unpaired))


def check_page_path(page_path: Path, *, overwrite: bool) -> None:
    """Refuse a page path that cannot be written or would overwrite files, before anything is computed.

    Raises:
        OutputError: if the path does not name an HTML page, or the page or a figure exists and `overwrite` is false.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.reports.run_report import page_path as checks

    checks.check(page_path, _stems(page_path), overwrite=overwrite)


def write(comparison: Comparison, page_path: Path, *, overwrite: bool = False) -> Path:
    """Write the comparison as a self-contained page, with its figures as SVG and PNG in the same folder.

    The same runs give the same bytes every time.

    Args:
        comparison: the result of `compare`.
        page_path: path of the page; the figures take its name, such as `comparison-scores.svg`.
        overwrite: whether to replace existing files.

    Raises:
        OutputError: if a file exists and `overwrite` is false, or the page cannot be written.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.foundation import atomic_files
    from emocatcher.foundation.errors import OutputError

    page_path = Path(page_path)
    check_page_path(page_path, overwrite=overwrite)
    from emocatcher.reports.comparison import figure, page, reliability
    from emocatcher.reports.run_report import figure_files, html, style

    try:
        page_path.parent.mkdir(parents=True, exist_ok=True)
        with style.paper():
            drawings = [figure.draw(comparison.rows), reliability.draw(comparison.rows)]
            pictures = [
                html.picture(drawing, figure_files.write(drawing, stem), stem.name)
                for drawing, stem in zip(drawings, _stems(page_path), strict=True)
            ]
        text = page.render(comparison.rows, comparison.notes, comparison.pairs, comparison.unpaired, pictures)
        atomic_files.write_text(page_path, text)
    except OSError as error:
        raise OutputError(f"Cannot write the comparison to '{page_path}': {error.strerror or error}") from None
    return page_path


def _stems(page_path: Path) -> list[Path]:
    return [page_path.with_name(f"{page_path.stem}-{name}") for name in FIGURES]
