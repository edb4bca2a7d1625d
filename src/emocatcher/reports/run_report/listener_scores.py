"""Report how well listeners recognise the same clips by voice alone, beside the run."""

from __future__ import annotations

from collections.abc import Sequence

from emocatcher.evaluation.scoring.run_result import Estimate, Listeners
from emocatcher.reports.run_report.tables import Table, interval, percent

LISTENERS = "listeners (voice alone)"


def table(named: Sequence[tuple[str, Sequence[Listeners]]]) -> Table | None:
    """Tabulate listeners and runs on the same clips; None without votes.

    Args:
        named: the name of each run, and its listeners.
    """
    several = len({one.corpus for _, each in named for one in each}) > 1
    rows: dict[tuple[str, ...], None] = {}  # runs that were tested on the same clips share the listeners' row
    for name, each in named:
        for one in each:
            place, n = (f", {one.corpus}" if several else ""), f"{one.n_utterances:,}"
            rows[(LISTENERS + place, n, *_cells(one.accuracy, one.unweighted_average_recall))] = None
            rows[(name + place, n, *_cells(one.run_accuracy, one.run_unweighted_average_recall))] = None
    if not rows:
        return None
    level = "95% interval"
    return Table(
        caption="The majority of the corpus's listeners by voice alone, on the same test clips, in percent.",
        header=("", "test utterances", "accuracy (WAR)", level, "UAR", level),
        rows=tuple(rows),
    )


def sentence(each: Sequence[Listeners]) -> str:
    """Describe the listeners' majority in a sentence for each corpus; "" without votes."""
    return " ".join(
        f"Listeners of {one.corpus} by voice alone: the majority of {one.votes_per_utterance:.1f} votes a clip is the "
        f"label of {percent(one.accuracy.mean)}% of the clips, the run's answer of {percent(one.run_accuracy.mean)}%; "
        f"{one.n_tied:,} of {one.n_utterances:,} clips have no majority, which counts as wrong."
        for one in each
    )


def _cells(accuracy: Estimate, recall: Estimate) -> tuple[str, ...]:
    return percent(accuracy.mean), interval(accuracy.interval), percent(recall.mean), interval(recall.interval)
