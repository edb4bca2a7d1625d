"""The listeners' row in report and comparison."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from emocatcher.evaluation.scoring.run_result import Estimate, Listeners
from emocatcher.reports import comparison, run_report
from emocatcher.reports.comparison import tables
from emocatcher.reports.run_report import listener_scores


def voted(corpus: str = "crema-d", run: float = 0.7, n: int = 100) -> Listeners:
    def estimate(mean: float) -> Estimate:
        return Estimate(mean, (mean - 0.02, mean + 0.02))

    return Listeners(
        corpus=corpus, n_utterances=n, n_tied=9, votes_per_utterance=9.2, accuracy=estimate(0.42),
        unweighted_average_recall=estimate(0.43), run_accuracy=estimate(run),
        run_unweighted_average_recall=estimate(run), resampled="speakers",
    )  # fmt: skip


def test_runs_on_the_same_clips_share_the_row_of_the_listeners() -> None:
    table = listener_scores.table([("first", [voted()]), ("second", [voted(run=0.6)]), ("third", [voted(n=50)])])
    assert table is not None
    listeners = listener_scores.LISTENERS
    assert [row[:3] for row in table.rows] == [
        (listeners, "100", "42.00"), ("first", "100", "70.00"), ("second", "100", "60.00"),
        (listeners, "50", "42.00"), ("third", "50", "70.00"),
    ]  # fmt: skip
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_rows_of_several_corpora_name_the_corpus() -> None:
    table = listener_scores.table([("mine", [voted("a"), voted("b")])])
    assert table is not None
    assert [row[0].rpartition(", ")[2] for row in table.rows] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("known", [True, False])
def test_report_and_comparison_have_the_row_where_there_are_votes(
    made_run: Callable[..., Path], tmp_path: Path, known: bool
) -> None:
    folder = made_run("mine", n_epochs=12, n_utterances=240)
    path = folder / "result.json"
    change = {"listeners": msgspec.to_builtins([voted()])} if known else {}
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    page = run_report.write(folder).read_text(encoding="utf-8")
    assert (listener_scores.LISTENERS in page) == ("9 of 100 clips have no majority" in page) == known
    found = comparison.compare([folder])
    assert (tables.listeners(found.rows) is not None) == known
    compared = comparison.write(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert (listener_scores.LISTENERS in compared) == known
