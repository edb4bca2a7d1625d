"""A table of predictions as a sentence: the head of its page, and the line in the terminal."""

from __future__ import annotations

from emocatcher.reports.table_report.counts import Tally


def headline(tally: Tally) -> str:
    """Return the main numbers in one or two sentences."""
    counts = f"{number(tally.n_rows, unit(tally))}: {tally.n_answered:,} answered, {tally.n_abstained:,} abstained, "
    return f"{counts}{tally.n_failed:,} failed. {frequent(tally)}".strip()


def frequent(tally: Tally) -> str:
    """Name the three most frequent answers with their shares; "" without answers."""
    counts = {label: one.n_answered for label, one in tally.emotions.items() if one.n_answered}
    ranked = sorted(counts, key=lambda label: -counts[label])[:3]
    named = [f"{label} {counts[label] / tally.n_answered:.0%}" for label in ranked]
    return f"Most frequent answers: {', '.join(named)}." if named else ""


def unit(tally: Tally) -> str:
    """Return what a row is."""
    return "recording" if tally.n_rows == tally.n_recordings else "row"


def number(n: int, unit: str) -> str:
    """Return a count with its unit."""
    return f"{n:,} {unit}{'' if n == 1 else 's'}"
