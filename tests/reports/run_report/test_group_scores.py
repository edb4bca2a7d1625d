"""The table and the sentence on groups of speakers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emocatcher.evaluation.scoring.run_result import Estimate, SpeakerGroup
from emocatcher.reports import run_report
from emocatcher.reports.run_report import group_scores


def group(
    name: str, mean: float | None, half: float = 0.02, n_speakers: int = 12, corpus: str = "mine", **fields: Any
) -> SpeakerGroup:
    estimate = None if mean is None else Estimate(mean, (mean - half, mean + half))
    return SpeakerGroup(
        corpus=corpus, trait="sex", name=name, n_speakers=n_speakers, n_utterances=100,
        unweighted_average_recall=estimate, **fields,
    )  # fmt: skip


def test_a_difference_beyond_the_intervals_is_stated_and_another_is_not() -> None:
    found = group_scores.sentence([group("female", 0.78), group("male", 0.66)])
    assert found == (
        "Groups of speakers whose 95% intervals do not overlap: sex: female, UAR 78.00%, and male, 66.00%."
    )
    assert "no difference between groups is certain" in group_scores.sentence(
        [group("female", 0.78, 0.07), group("male", 0.66, 0.07)]
    )


def test_a_small_group_with_the_lowest_mean_does_not_hide_a_difference_of_others() -> None:
    groups = [group("small", 0.50, 0.30), group("female", 0.55, 0.05), group("male", 0.75, 0.05)]
    assert "sex: male, UAR 75.00%, and female, 55.00%" in group_scores.sentence(groups)


def test_a_difference_in_answering_is_stated() -> None:
    shares = [Estimate(0.5, (0.45, 0.55)), Estimate(0.9, (0.85, 0.95))]
    groups = [group("female", 0.7, share_answered=shares[0]), group("male", 0.7, share_answered=shares[1])]
    assert "sex: male, answered 90.00%, and female, 50.00%" in group_scores.sentence(groups)


def test_small_groups_are_named_and_not_compared() -> None:
    groups = [group("female", 0.7), group("male", None, n_speakers=4)]
    assert group_scores.sentence(groups) == "Groups of fewer than 5 speakers are not scored: sex: male (4)."
    table = group_scores.table(groups)
    assert table is not None
    assert [row[0] for row in table.rows] == ["sex: female"]
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_groups_of_several_corpora_are_compared_within_each_and_named_with_it() -> None:
    groups = [group("female", 0.9, corpus="a"), group("male", 0.9, corpus="a"),
              group("female", 0.3, corpus="b"), group("male", 0.3, corpus="b")]  # fmt: skip
    assert "no difference" in group_scores.sentence(groups)
    table = group_scores.table(groups)
    assert table is not None
    assert table.rows[2][0] == "b, sex: female"


def test_nothing_is_stated_without_groups() -> None:
    assert group_scores.sentence(()) == ""
    assert group_scores.table(()) is None


@pytest.mark.parametrize("known", [True, False])
def test_the_page_has_the_section_where_groups_are_known(made_run: Callable[..., Path], known: bool) -> None:
    folder = made_run("speakers-5", n_folds=2, n_epochs=12, n_utterances=240)
    path = folder / "result.json"
    groups = [group("fe<b>male", 0.78), group("male", 0.66)] if known else []
    content = json.loads(path.read_text()) | ({"speaker_groups": msgspec.to_builtins(groups)} if known else {})
    path.write_text(json.dumps(content))
    assert run_report.read(folder).result.speaker_groups == tuple(groups)
    page = run_report.write(folder).read_text(encoding="utf-8")
    assert ("For whom it works" in page) == ("sex: fe&lt;b&gt;male" in page) == known
    assert "fe<b>male" not in page
