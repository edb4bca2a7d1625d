"""Write figures as SVG and PNG, labelled with their run; the same run gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emocatcher.evaluation.scoring.run_result import Result
from emocatcher.reports.run_report.style import FAINT, MARK, OPTIMISTIC, PNG_DPI, Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NARROW_INCHES = 5.0


def stamp(figure: Figure, result: Result) -> None:
    """Label a figure with its run, and mark it if the corpus is synthetic or the selection optimistic."""
    shared = "speakers shared" if result.speakers_shared else "speakers separate"
    marks = ["SYNTHETIC corpus"] * result.synthetic + [OPTIMISTIC] * result.optimistic
    words = f"{result.corpus} · {result.preset} · {result.protocol} ({shared}) · epoch: {result.selection}"
    stamp_words(figure, words, marks, synthetic=result.synthetic)


def stamp_words(figure: Figure, words: str, marks: Sequence[str], *, synthetic: bool) -> None:
    """Write a source line and warnings below a figure.

    Args:
        figure: the figure to label.
        words: the source of its data.
        marks: the warnings.
        synthetic: whether all its data are from synthetic voices; the word SYNTHETIC is then drawn across it.
    """
    width, height = figure.get_size_inches()
    figure.text(0.08 / width, 0.07 / height, words, fontsize=5.5, color=FAINT, va="bottom", ha="left")
    narrow = width < _NARROW_INCHES  # words and marks would not fit on one line
    if marks:
        figure.text(
            0.08 / width if narrow else 1 - 0.08 / width,
            (0.17 if narrow else 0.07) / height,
            " · ".join(marks),
            fontsize=5.5,
            color=MARK,
            fontweight="bold",
            va="bottom",
            ha="left" if narrow else "right",
        )
    if synthetic:
        figure.text(
            0.5,
            0.5,
            "SYNTHETIC",
            fontsize=float(min(width * 9.5, height * 22)),
            color=MARK,
            alpha=0.16,
            fontweight="bold",
            rotation=float(np.degrees(np.arctan2(height, width))) * 0.7,
            ha="center",
            va="center",
            zorder=100,
        )


def save(drawing: Drawing, result: Result, figures_dir: Path) -> str:
    """Stamp a run's figure and write it as `<name>.svg` and, at 200 dpi, `<name>.png`; the same bytes every time.

    Returns:
        The SVG element for embedding in a page, with ids unique to this figure.
    """
    stamp(drawing.figure, result)
    return write(drawing, figures_dir / drawing.name)


def write(drawing: Drawing, stem: Path) -> str:
    """Write a stamped figure as `<stem>.svg` and, at 200 dpi, `<stem>.png`; the same bytes every time.

    Returns:
        The SVG element for embedding in a page, with ids unique to this figure.
    """
    # Light compression makes a report a fifth faster. Matplotlib's name and version are left out of the file.
    drawing.figure.savefig(
        stem.with_name(f"{stem.name}.png"),
        format="png",
        dpi=PNG_DPI,
        metadata={"Software": None},
        pil_kwargs={"compress_level": 1},
    )
    svg = _text(drawing)
    stem.with_name(f"{stem.name}.svg").write_text(svg, encoding="utf-8", newline="\n")
    return svg[svg.index("<svg") :]


def element(drawing: Drawing) -> str:
    """Return the SVG element of a stamped figure, for a page alone: no file is written."""
    svg = _text(drawing)
    return svg[svg.index("<svg") :]


def _text(drawing: Drawing) -> str:
    import matplotlib as mpl

    buffer = StringIO()
    with mpl.rc_context({"svg.hashsalt": drawing.name}):
        drawing.figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")), dpi=PNG_DPI
        )
    return _with_unique_ids(buffer.getvalue(), drawing.name)


def _with_unique_ids(svg: str, name: str) -> str:
    # matplotlib uses the same ids in every figure (axes_1, patch_2). Unreferenced ids are removed and the others are
    # prefixed with the figure's name, so that several figures can share one page.
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    svg = re.sub(r' id="([^"]*)"', rename, svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
