import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from emocatcher.evaluation.run_folder import Run, read
from emocatcher.evaluation.scoring.run_result import Estimate, Faithfulness
from emocatcher.reports.run_report import deletion
from emocatcher.reports.run_report.style import paper

SMALL = {"n_utterances": 120, "n_epochs": 2}


def make_faithfulness(attended: float, random: float, occlusion: float, half: float = 0.02) -> Faithfulness:
    def around(mean: float) -> Estimate:
        return Estimate(mean, (mean - half, mean + half))

    return Faithfulness(
        attended=around(attended), random=around(random), least=around(-0.0001), occlusion=around(occlusion),
        attended_minus_random=around(attended - random), occlusion_minus_random=around(occlusion - random),
        attended_ahead=around(0.6), n_clips=70, share_deleted=0.203, level=0.95, resampled="speakers",
    )  # fmt: skip


def with_faithfulness(run: Run, *of_folds: Faithfulness) -> Run:
    folds = tuple(
        msgspec.structs.replace(fold, faithfulness=one) for fold, one in zip(run.result.folds, of_folds, strict=True)
    )
    result = msgspec.structs.replace(run.result, folds=folds, faithfulness=of_folds[0])
    return dataclasses.replace(run, result=result)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (make_faithfulness(0.20, 0.10, 0.30), "Attention is faithful: deleting the most attended 20% of a clip"),
        (make_faithfulness(0.11, 0.10, 0.30), "Attention is not faithful: deleting the most attended 20%"),
        (make_faithfulness(0.05, 0.10, 0.30), "Use occlusion instead: deleting the 20% that matter most by occlusion"),
        (make_faithfulness(0.11, 0.10, 0.11), "Occlusion is not faithful either"),
    ],
)  # fmt: skip
def test_the_verdict_depends_on_the_intervals(
    made_run: Callable[..., Path], measured: Faithfulness, expected: str
) -> None:
    verdict = deletion.verdict(with_faithfulness(read(made_run(**SMALL)), measured))
    assert expected in verdict
    assert verdict.startswith("Attention is faithful") == (measured.attended_minus_random.interval[0] > 0)
    assert f"lowers the probability of its answer by {measured.attended.mean * 100:.1f} points" in verdict
    assert f"deleting a random 20% by {measured.random.mean * 100:.1f}" in verdict


def test_verdict_counts_the_folds_in_which_attention_beats_random(made_run: Callable[..., Path]) -> None:
    run = with_faithfulness(
        read(made_run(n_folds=2, **SMALL)), make_faithfulness(0.2, 0.1, 0.3), make_faithfulness(0.1, 0.2, 0.3)
    )
    assert deletion.verdict(run).startswith("Attention is faithful overall, and in 1 of 2 folds: deleting")


def test_table_has_each_fold_and_all_clips_with_intervals(made_run: Callable[..., Path]) -> None:
    run = with_faithfulness(
        read(made_run(n_folds=2, **SMALL)), make_faithfulness(0.2, 0.1, 0.3), make_faithfulness(0.1, 0.2, 0.3)
    )
    table = deletion.table(run)
    assert table is not None
    assert [row[0] for row in table.rows] == ["fold 0", "fold 1", "all clips", "95% interval (speakers)"]
    assert all(len(row) == len(table.header) for row in table.rows)
    assert table.rows[1][1:] == ("70", "10.0", "20.0", "0.0", "30.0", "-10.0", "60.0")
    assert table.rows[3][2] == "18.0 to 22.0"


def test_figure_shows_means_intervals_and_folds(made_run: Callable[..., Path]) -> None:
    one, other = make_faithfulness(0.2, 0.1, 0.3), make_faithfulness(0.1, 0.2, 0.4)
    run = with_faithfulness(read(made_run(n_folds=2, **SMALL)), one, other)
    with paper():
        drawing = deletion.draw(run)
    assert drawing is not None
    panel = drawing.figure.axes[0]
    assert panel.get_yticklabels()[0].get_text() == "most attended"
    drawn = [tuple(line.get_xdata()) for line in panel.get_lines()]
    for name in ("attended", "random", "least", "occlusion"):
        assert getattr(one, name).interval in drawn
        assert (getattr(one, name).mean,) in drawn
        assert (getattr(one, name).mean, getattr(other, name).mean) in drawn
    assert panel.get_xlim()[0] < -0.02
    assert panel.get_xlim()[1] > 0.4
    assert [text.get_text() for text in panel.texts] == ["20.0", "10.0", "0.0", "30.0"]
    assert "most attended 20.0 points" in drawing.alt


def test_a_run_without_faithfulness_has_no_verdict_table_or_figure(made_run: Callable[..., Path]) -> None:
    run = read(made_run(**SMALL))
    assert run.result.faithfulness is None
    assert (deletion.verdict(run), deletion.table(run), deletion.draw(run)) == ("", None, None)
