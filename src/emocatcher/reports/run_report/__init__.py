"""Write the figures of a run and one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from emocatcher.evaluation.run_folder import Run, read
from emocatcher.reports.run_report.deletion import verdict
from emocatcher.reports.run_report.text import audit_line, headline, summary_rows, trust_lines

__all__ = ["Run", "audit_line", "headline", "read", "summary_rows", "trust_lines", "verdict", "write"]


def write(run_dir: Path) -> Path:
    """Write all figures of a run, as SVG and PNG, and its report page.

    The same run folder gives the same bytes every time.

    Args:
        run_dir: a folder written by `emocatcher train --out`.

    Returns:
        The path of `report.html`; the figures are in the folder `figures` next to it.

    Raises:
        RunError: if the folder is not a finished run folder, in which case the message names the missing or broken
            part, or if the report cannot be written.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.foundation.errors import MissingExtraError, RunError

    run_dir = Path(run_dir)
    run = read(run_dir)
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401, ICN001
    except ImportError:
        raise MissingExtraError("The report", "train") from None
    from emocatcher.reports.run_report import (
        attention,
        confidence,
        confusion,
        corpus_matrix,
        curves,
        deletion,
        dimension_scores,
        examples,
        figure_files,
        heat_map,
        html,
        recall,
        speakers,
        style,
    )  # fmt: skip

    figures_dir = run_dir / "figures"
    try:
        figures_dir.mkdir(exist_ok=True)
        with style.paper():
            matrices = confusion.draw(run)
            drawings = [curves.draw(run), *matrices, recall.draw(run), speakers.draw(run), attention.draw(run)]
            if run.result.over_corpora:
                drawings.insert(0, heat_map.draw(corpus_matrix.tabulate([run])))
            drawings += [examples.draw(run), confidence.draw(run), dimension_scores.draw(run), deletion.draw(run)]
            pictures = [
                html.picture(drawing, figure_files.save(drawing, run.result, figures_dir))
                for drawing in drawings
                if drawing is not None
            ]
        page = run_dir / "report.html"
        page.write_text(html.render(run, pictures), encoding="utf-8", newline="\n")
    except OSError as error:
        raise RunError(
            f"Cannot write the report into '{run_dir}': {error.strerror or error}. "
            "Fix the problem, then rerun `emocatcher report`"
        ) from None
    return page
