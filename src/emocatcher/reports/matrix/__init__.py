"""Show runs as a matrix, trained on and tested on: a table, a heat map and a page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report.between import Cell, listing
from emocatcher.reports.run_report.corpus_matrix import Matrix, tabulate

__all__ = ["Cell", "Matrix", "check_page_path", "tabulate", "write"]


def check_page_path(page_path: Path, *, overwrite: bool) -> None:
    """Refuse a page path that cannot be written or would overwrite files, before anything is computed.

    Raises:
        OutputError: if the path does not name an HTML page, or the page or its figure exists and `overwrite` is false.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.reports.run_report import page_path as checks

    checks.check(page_path, [_stem(page_path)], overwrite=overwrite)


def write(matrix: Matrix, page_path: Path, runs: Sequence[Run], *, overwrite: bool = False) -> Path:
    """Write the matrix as a self-contained page, with its figure as SVG and PNG in the same folder.

    Args:
        matrix: from `tabulate`.
        page_path: the page; the figure takes its name, such as `matrix-figure.svg`.
        runs: the runs that the matrix was made from, for the page's settings.
        overwrite: whether to replace existing files.

    Raises:
        OutputError: if a file exists and `overwrite` is false, or the page cannot be written.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.foundation import atomic_files
    from emocatcher.foundation.errors import OutputError

    check_page_path(page_path, overwrite=overwrite)
    from emocatcher.reports.matrix import tables
    from emocatcher.reports.run_report import figure_files, heat_map, html, style

    try:
        page_path.parent.mkdir(parents=True, exist_ok=True)
        with style.paper():
            drawing = heat_map.draw(matrix)
            words = " · ".join(dict.fromkeys(run.result.preset for run in runs))
            marks = ["SYNTHETIC corpus"] * matrix.synthetic
            figure_files.stamp_words(drawing.figure, words, marks, synthetic=matrix.synthetic)
            stem = _stem(page_path)
            picture = html.picture(drawing, figure_files.write(drawing, stem), stem.name)
        text = html.fill(
            (resources.files(__package__) / "template.html").read_text(encoding="utf-8"),
            matrix=matrix,
            picture=picture,
            explanation=tables.EXPLANATION,
            calm=any(cell.calm_as_neutral for cell in matrix.cells),
            grid=tables.grid(matrix),
            listing=listing(matrix.cells, "Each cell with its classes; rates in percent."),
            settings=tables.settings(runs),
        )
        atomic_files.write_text(page_path, text)
    except OSError as error:
        raise OutputError(f"Cannot write the matrix to '{page_path}': {error.strerror or error}") from None
    return page_path


def _stem(page_path: Path) -> Path:
    return page_path.with_name(f"{page_path.stem}-figure")
