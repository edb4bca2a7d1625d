"""The scores of a run on each corpus: what it was trained on, what it was tested on, and what of that is scored."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from emocatcher.evaluation.run_folder import Run
from emocatcher.evaluation.scoring import metrics, over_corpora
from emocatcher.evaluation.scoring.over_corpora import Answers
from emocatcher.evaluation.scoring.run_result import OverCorpora
from emocatcher.reports.run_report.tables import Table, interval, percent

ALL_OTHERS = "all others"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One model's UAR on one corpus, over the classes that training and test both have; rates in 0..1."""

    row: str  # trained on
    column: str  # tested on
    trained_on: tuple[str, ...]
    tested_on: tuple[str, ...]
    unweighted_average_recall: float
    interval: tuple[float, float]
    chance: float
    classes: tuple[str, ...]
    calm_as_neutral: bool
    n_utterances: int
    resampled: str  # for the interval: "speakers" or "utterances"
    run: str  # its name
    fold: int | None = None  # None: all folds of the run, each of which tests a part of the same corpus

    @property
    def is_within(self) -> bool:
        """Whether it was trained on other speakers of the same corpus."""
        return self.trained_on == self.tested_on


def of_run(run: Run) -> list[Cell]:
    """Return the cells of a run: one for each fold between corpora; otherwise one, of all its held-out answers."""
    result = run.result
    if result.over_corpora is None:
        return [_within(run)]
    cells = []
    for fold in result.folds:
        if fold.between is None:
            continue
        left_out = result.protocol.startswith("leave-one-corpus-out")
        trained_on, tested_on = fold.between.trained_on, fold.between.tested_on
        cells.append(
            Cell(
                row=ALL_OTHERS if left_out else "+".join(trained_on),
                column="+".join(tested_on),
                trained_on=trained_on,
                tested_on=tested_on,
                unweighted_average_recall=fold.selected.unweighted_average_recall,
                interval=fold.selected.unweighted_average_recall_interval,
                chance=fold.between.chance,
                classes=fold.between.classes,
                calm_as_neutral=fold.between.calm_as_neutral,
                n_utterances=fold.n_test,
                resampled=result.over_corpora.resampled,
                run=run.name,
                fold=fold.fold,
            )
        )
    return cells


def average(runs: Sequence[Run]) -> OverCorpora | None:
    """Average the UAR over the tested corpora of one or more runs between corpora; None if a run is of another kind."""
    answers, chances = [], []
    for run in runs:
        rows = run.predictions
        for fold in run.result.folds:
            if fold.between is None:
                return None
            of = rows.fold == fold.fold
            speakers = [speaker or None for speaker in rows.speaker[of].tolist()]
            tested_on = "+".join(fold.between.tested_on)
            answers.append(Answers(rows.emotion[of], rows.predicted[of], speakers, tested_on))
            chances.append(fold.between.chance)
    return over_corpora.average(answers, chances, len(runs[0].result.labels))


def _within(run: Run) -> Cell:
    result, rows = run.result, run.predictions
    n_classes = len(result.labels)
    counts = np.bincount(rows.emotion, minlength=n_classes)
    confusion = metrics.confusion_matrix(rows.emotion, rows.predicted, n_classes)
    return Cell(
        row=result.corpus,
        column=result.corpus,
        trained_on=(result.corpus,),
        tested_on=(result.corpus,),
        unweighted_average_recall=metrics.unweighted_average_recall_score(confusion),
        interval=result.interval.unweighted_average_recall,
        chance=1 / int((counts > 0).sum()),
        classes=tuple(label for label, n in zip(result.labels, counts.tolist(), strict=True) if n),
        calm_as_neutral=False,
        n_utterances=len(rows.fold),
        resampled=result.interval.resampled,
        run=run.name,
    )


def listing(cells: Sequence[Cell], caption: str) -> Table:
    """Tabulate cells one a line, with their classes."""
    lines = tuple(
        (cell.column, cell.row if len(cell.trained_on) > 6 else "+".join(cell.trained_on),
         percent(cell.unweighted_average_recall), interval(cell.interval), percent(cell.chance),
         f"{cell.n_utterances:,}", ", ".join(cell.classes))
        for cell in cells
    )  # fmt: skip
    header = ("tested on", "trained on", "UAR", "95% interval", "chance", "test utterances", "classes scored")
    return Table(caption=caption, header=header, rows=lines)


def table(run: Run) -> Table | None:
    """Tabulate the folds of a run between corpora, and their mean; None for another run."""
    over = run.result.over_corpora
    if over is None:
        return None
    each = listing(of_run(run), "UAR on each tested corpus, in percent, over the classes that both sides have.")
    mean = (
        "mean, each counting equally", "", percent(over.unweighted_average_recall),
        interval(over.unweighted_average_recall_interval), percent(over.chance),
        f"{sum(fold.n_test for fold in run.result.folds):,}", "",
    )  # fmt: skip
    return Table(caption=each.caption, header=each.header, rows=(*each.rows, mean), n_summary=1)


def sentence(run: Run) -> str:
    """State the mean over corpora, and what is scored; "" for a run that is not between corpora."""
    over = run.result.over_corpora
    folds = [fold.between for fold in run.result.folds if fold.between]
    if over is None or not folds:
        return ""
    what = "corpora" if run.result.protocol.startswith("leave-one") else "pairs of corpora"
    calm = " Calm counts as neutral." if any(one.calm_as_neutral for one in folds) else ""
    lacking = dict.fromkeys(
        f"{emotion} of {'+'.join(one.tested_on)} ({n:,})" for one in folds for emotion, n in one.not_scored.items()
    )
    left_out = f" Not scored, because the training part lacks it: {', '.join(lacking)}." if lacking else ""
    bounds = f"{over.level:.0%} interval {interval(over.unweighted_average_recall_interval)}"
    return (
        f"On corpora that were not trained on: UAR {percent(over.unweighted_average_recall)}%, {bounds}, chance "
        f"{percent(over.chance)}%; the mean of {over.n_folds} {what}, each counting equally, over the classes that "
        f"both sides have.{calm}{left_out}"
    )
