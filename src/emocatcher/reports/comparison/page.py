"""Render the comparison as one self-contained page, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from emocatcher.reports.comparison import tables
from emocatcher.reports.comparison.pairs import Pair, Unpaired
from emocatcher.reports.comparison.scores import Row
from emocatcher.reports.run_report import html

_BOUNDS = {"accuracy (WAR)": "accuracy interval", "UAR": "UAR interval"}  # shown below the score they bound
_NOT_IN_TABLE = (
    *_BOUNDS.values(),
    "protocol",
    "epochs",
    "selection",
    "corpus",
    "preset",
    "test utterances",
)  # bounds are shown with their scores, the rest in the table of settings


def render(
    rows: Sequence[Row],
    notes: Sequence[str],
    pairs: Sequence[Pair],
    unpaired: Sequence[Unpaired],
    pictures: Sequence[html.Picture],
) -> str:
    """Render the page.

    Args:
        rows: in display order.
        notes: what to know before comparing.
        pairs: the pairs of rows that were tested.
        unpaired: the pairs that were not tested, with the reason.
        pictures: the figures.
    """
    shown = [(row, tables.measures(row)) for row in rows]
    sections = [
        (words, [pair for pair in shown if pair[0].speakers_shared == kind])
        for kind, words in tables.SECTIONS.items()
        if any(row.speakers_shared == kind for row in rows)
    ]
    return html.fill(
        (resources.files(__package__) / "template.html").read_text(encoding="utf-8"),
        rows=rows,
        n_runs=sum(len(row.runs) for row in rows),
        columns=[name for name in shown[0][1] if name not in _NOT_IN_TABLE],
        bounds=_BOUNDS,
        sections=sections,
        marks=tables.marks,
        seed_measures=tables.seed_measures,
        notes=notes,
        pairs=pairs,
        unpaired=unpaired,
        pictures=pictures,
        corpora=tables.corpora(rows),
        listeners=tables.listeners(rows),
        recalls=tables.recalls(rows),
        settings=tables.settings(rows),
        claims=list(dict.fromkeys((row.protocol, row.cannot_claim) for row in rows if row.cannot_claim.strip())),
        all_synthetic=all(row.synthetic for row in rows),
    )
