"""The comparison as one self-contained page, in the look of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from emocatcher.comparison import tables
from emocatcher.comparison.pairs import Pair, Unpaired
from emocatcher.comparison.scores import Row
from emocatcher.report import html

_BOUNDS = {"accuracy (WAR)": "accuracy interval", "UAR": "UAR interval"}  # stand below what they bound
_LEFT_OUT = (
    *_BOUNDS.values(),
    "protocol",
    "epochs",
    "selection",
    "corpus",
    "preset",
    "test answers",
)  # they stand in a table of their own


def render(
    rows: Sequence[Row],
    notes: Sequence[str],
    pairs: Sequence[Pair],
    unpaired: Sequence[Unpaired],
    pictures: Sequence[html.Picture],
) -> str:
    """Write the page.

    Args:
        rows: in the order in which they are to stand.
        notes: what must be known before comparing.
        pairs: tested against each other.
        unpaired: not tested, and why.
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
        columns=[name for name in shown[0][1] if name not in _LEFT_OUT],
        bounds=_BOUNDS,
        sections=sections,
        marks=tables.marks,
        seed_measures=tables.seed_measures,
        notes=notes,
        pairs=pairs,
        unpaired=unpaired,
        pictures=pictures,
        recalls=tables.recalls(rows),
        settings=tables.settings(rows),
        claims=list(dict.fromkeys((row.protocol, row.cannot_claim) for row in rows if row.cannot_claim.strip())),
        all_synthetic=all(row.synthetic for row in rows),
    )
