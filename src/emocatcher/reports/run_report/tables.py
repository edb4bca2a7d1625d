"""Format the numbers of a run as tables of plain strings, for the page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocatcher.evaluation.run_folder import Floats, Run, Strings
from emocatcher.evaluation.scoring.intervals import recall_intervals
from emocatcher.evaluation.scoring.run_result import AllEpochs, LastEpochs, Scores
from emocatcher.reports.run_report import published

BEST = "best on test (optimistic)"
N_LATE = 10  # epochs, at most, over which the last ones are averaged
NONE = "\N{EN DASH}"  # for a missing number, and between the ends of an interval


@dataclass(frozen=True)
class Table:
    """A table of strings; the first cell of each row is its name."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_summary: int = 0  # how many rows at the end summarise the others


def percent(value: float) -> str:
    """Format a fraction as a percentage with two decimals and no percent sign; NaN becomes a dash.

    Examples:
        >>> percent(0.85263)
        '85.26'
    """
    return NONE if math.isnan(value) else f"{value * 100:.2f}"


def plus_minus(mean: float, std: float) -> str:
    """Format a mean and a standard deviation of fractions, in percent.

    Examples:
        >>> plus_minus(0.8526, 0.0118)
        '85.26 ± 1.18'
    """
    return percent(mean) if math.isnan(std) else f"{percent(mean)} ± {percent(std)}"


def interval(bounds: Sequence[float]) -> str:
    """Format an interval of fractions, in percent.

    Examples:
        >>> interval((0.81, 0.885)) == f"81.00{NONE}88.50"
        True
    """
    return f"{percent(bounds[0])}{NONE}{percent(bounds[1])}"


def _loss(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.4f}"


def _late_loss(loss: LastEpochs) -> str:
    return NONE if math.isnan(loss.last_10_mean) else f"{_loss(loss.last_10_mean)} ± {_loss(loss.last_10_std)}"


def fold_name(run: Run, fold: int) -> str:
    """Return a fold's name, marked where it has the lowest or highest accuracy of several."""
    if len(run.result.folds) == 1:
        return f"fold {fold}"
    rank = {run.result.lowest_fold: " (lowest)", run.result.highest_fold: " (highest)"}
    sides = run.result.fold(fold).between
    tested = f": {'+'.join(sides.tested_on)}" if sides else ""
    return f"fold {fold}{tested}{rank.get(fold, '')}"


def selected(run: Run) -> Table:
    """Tabulate the scores of each fold's selected model, with their intervals."""
    result = run.result
    level = f"{result.interval.level:.0%} interval"
    rows = [
        (
            fold_name(run, fold.fold), f"{fold.n_test}", f"{fold.selected_epoch}",
            percent(fold.selected.accuracy), interval(fold.selected.accuracy_interval),
            percent(fold.selected.unweighted_average_recall),
            interval(fold.selected.unweighted_average_recall_interval), percent(fold.selected.macro_f1),
        )
        for fold in result.folds
    ]  # fmt: skip
    n_summary = 0
    if len(rows) > 1:
        mean, std, low, high = (over.selected for over in (result.mean, result.std, result.min, result.max))
        pooled = result.interval
        n_test = f"{sum(fold.n_test for fold in result.folds)}"
        rows += [
            (
                "mean ± std over folds", n_test, "", plus_minus(mean.accuracy, std.accuracy), interval(pooled.accuracy),
                plus_minus(mean.unweighted_average_recall, std.unweighted_average_recall),
                interval(pooled.unweighted_average_recall), plus_minus(mean.macro_f1, std.macro_f1),
            ),
            *(
                (name, "", "", percent(over.accuracy), "", percent(over.unweighted_average_recall), "",
                 percent(over.macro_f1))
                for name, over in (("minimum", low), ("maximum", high))
            ),
        ]  # fmt: skip
        n_summary = 3
    mark = ", optimistic: epoch chosen on the test part" if result.optimistic else ""
    return Table(
        caption=f"Scores of each fold's selected model, in percent (selection: {result.selection}{mark}).",
        header=("", "test utterances", "epoch", "accuracy (WAR)", level, "UAR", level, "macro F1"),
        rows=tuple(rows),
        n_summary=n_summary,
    )


def late_epochs(n_epochs: int) -> str:
    """Name the epochs that are averaged: the last ten, or fewer in a shorter run.

    Examples:
        >>> late_epochs(200), late_epochs(10), late_epochs(2), late_epochs(1)
        ('last 10 epochs', 'all 10 epochs', 'both epochs', 'the only epoch')
    """
    if n_epochs > N_LATE:
        return f"last {N_LATE} epochs"
    return {1: "the only epoch", 2: "both epochs"}.get(n_epochs, f"all {n_epochs} epochs")


def epochs(run: Run, quantity: str) -> Table:
    """Tabulate accuracy or UAR at the last epoch, over the last ten, and at the best on the test part.

    Args:
        run: the run.
        quantity: "accuracy" or "unweighted_average_recall".
    """
    result = run.result

    def row(name: str, scores: AllEpochs) -> tuple[str, ...]:
        late = plus_minus(scores.last_10_mean, scores.last_10_std)
        return name, percent(scores.last), late, percent(scores.best_test)

    rows = [row(fold_name(run, fold.fold), getattr(fold, quantity)) for fold in result.folds]
    n_summary = 0
    if len(rows) > 1:
        mean, std, low, high = (getattr(over, quantity) for over in (result.mean, result.std, result.min, result.max))
        rows.append(
            (
                "mean ± std over folds", plus_minus(mean.last, std.last),
                plus_minus(mean.last_10_mean, std.last_10_mean), plus_minus(mean.best_test, std.best_test),
            )
        )  # fmt: skip
        for name, over in (("minimum", low), ("maximum", high)):
            rows.append((name, percent(over.last), percent(over.last_10_mean), percent(over.best_test)))
        n_summary = 3
    name = "Accuracy (WAR)" if quantity == "accuracy" else "UAR"
    return Table(
        caption=f"{name} on the test part, in percent, by epoch; ± is over epochs within a fold.",
        header=("", "last epoch", late_epochs(result.n_epochs), BEST),
        rows=tuple(rows),
        n_summary=n_summary,
    )


def training(run: Run) -> Table:
    """Tabulate the losses, and the accuracy on the training part."""
    late = late_epochs(run.result.n_epochs)
    rows = tuple(
        (
            fold_name(run, fold.fold), _loss(fold.loss.last), _late_loss(fold.loss), percent(fold.train_accuracy.last),
            plus_minus(fold.train_accuracy.last_10_mean, fold.train_accuracy.last_10_std),
            _loss(fold.train_loss.last), _late_loss(fold.train_loss),
        )
        for fold in run.result.folds
    )  # fmt: skip
    return Table(
        caption="Test loss, and running means of accuracy and loss over each training epoch, with dropout active.",
        header=("", "test loss, last epoch", late, "train accuracy, last epoch (%)", f"{late} (%)",
                "train loss, last epoch", late),
        rows=rows,
    )  # fmt: skip


def recall_of(scores: Scores, labels: tuple[str, ...]) -> Floats:
    """Return recall in the order of the labels, shape (n_classes,); NaN for an emotion without test utterances."""
    return np.array([scores.recall.get(label) for label in labels], dtype=np.float64)


def speakers_known(run: Run) -> Strings | None:
    """Return the speaker of every test utterance, as drawn for the run's intervals; None if utterances were drawn."""
    return run.predictions.speaker if run.result.interval.resampled == "speakers" else None


def recall_bounds(run: Run) -> Floats:
    """Return the 95% intervals of recall over all folds together, shape (n_labels, 2); NaN for an absent emotion."""
    rows = run.predictions
    return recall_intervals(rows.emotion, rows.predicted, speakers_known(run), len(run.result.labels))


def recall(run: Run) -> Table:
    """Tabulate recall per emotion of the selected models, with intervals."""
    result = run.result
    counts = np.bincount(run.predictions.emotion, minlength=len(result.labels))
    many = len(result.folds) > 1
    overs = (result.mean, result.std, result.min, result.max)
    recalls = np.stack([recall_of(over.selected, result.labels) for over in overs], axis=1)
    rows = []
    for index, (label, bounds) in enumerate(zip(result.labels, recall_bounds(run).tolist(), strict=True)):
        mean, std, low, high = recalls[index].tolist()
        value = plus_minus(mean, std) if many else percent(mean)
        ends = NONE if math.isnan(bounds[0]) else interval(bounds)
        rows.append((label, f"{counts[index]}", value, ends, *((percent(low), percent(high)) if many else ())))
    over = " over folds; the interval is of all folds together" if many else ""
    value_names = ("mean ± std", "95% interval", "minimum", "maximum") if many else ("recall", "95% interval")
    return Table(
        caption=f"Recall per emotion{over}, in percent. Intervals by bootstrap over {result.interval.resampled}.",
        header=("emotion", "test utterances", *value_names),
        rows=tuple(rows),
    )


def compare_published(run: Run) -> Table | None:
    """Tabulate this run next to the published figures; None where the two must not be compared."""
    theirs = published.comparable(run.result)
    if theirs is None:
        return None
    many = bool(theirs.best_test_of_folds)
    result = run.result
    if many:
        columns = (f"{BEST}, published", f"{BEST}, this run", "last epoch, published", "last epoch, this run")
        header: tuple[str, ...] = ("accuracy (WAR), %", *columns)
    else:
        header = ("", "published", "this run")
    lengths = f", both trained for {published.N_EPOCHS} epochs"
    if result.n_epochs != published.N_EPOCHS:
        lengths = f", trained for {published.N_EPOCHS} and {result.n_epochs} epochs"
    return Table(
        caption=f"Published figures ({published.SOURCE}) and this run{lengths}.",
        header=header,
        rows=_fold_rows(run, theirs) if many else _holdout_rows(run, theirs),
        n_summary=int(many),
    )


def _fold_rows(run: Run, theirs: published.Published) -> tuple[tuple[str, ...], ...]:
    folds = zip(run.result.folds, theirs.best_test_of_folds, theirs.last_of_folds, strict=False)
    mean, std = run.result.mean.accuracy, run.result.std.accuracy
    return (
        *(
            (f"fold {ours.fold}", percent(best), percent(ours.accuracy.best_test),
             percent(last), percent(ours.accuracy.last))
            for ours, best, last in folds
        ),
        ("mean ± std over folds", plus_minus(theirs.accuracy.best_test, theirs.best_test_std),
         plus_minus(mean.best_test, std.best_test), percent(theirs.accuracy.last), plus_minus(mean.last, std.last)),
    )  # fmt: skip


def _holdout_rows(run: Run, theirs: published.Published) -> tuple[tuple[str, ...], ...]:
    ours, n_epochs = run.result.folds[0], run.result.n_epochs
    late = late_epochs(published.N_EPOCHS) + (f" ({n_epochs} in this run)" if n_epochs < N_LATE else "")
    return (
        (f"test accuracy, {BEST}, %", percent(theirs.accuracy.best_test), percent(ours.accuracy.best_test)),
        ("test accuracy, last epoch, %", percent(theirs.accuracy.last), percent(ours.accuracy.last)),
        (f"test accuracy, {late}, %", _late(theirs.accuracy), _late(ours.accuracy)),
        (f"train accuracy, {late}, %", _late(theirs.train_accuracy), _late(ours.train_accuracy)),
        (f"train loss, {late}", _late_loss(theirs.train_loss), _late_loss(ours.train_loss)),
        (f"test loss, {late}", _late_loss(theirs.loss), _late_loss(ours.loss)),
    )


def _late(rate: LastEpochs) -> str:
    return plus_minus(rate.last_10_mean, rate.last_10_std)


def data(run: Run) -> Table:
    """Count the utterances and speakers in each part of the first fold."""
    split, labels = run.split, run.result.labels
    parts = [part for part in ("train", "valid", "test") if (split.part == part).any()]
    counts = {part: np.bincount(split.emotion[split.part == part], minlength=len(labels)) for part in parts}
    speakers = {part: len(set(split.speaker[split.part == part]) - {""}) for part in parts}
    rows = [
        (label, *(f"{counts[part][index]}" for part in parts), f"{sum(counts[part][index] for part in parts)}")
        for index, label in enumerate(labels)
    ]
    n_each = [int(counts[part].sum()) for part in parts]
    rows.append(("all emotions", *map(str, n_each), f"{sum(n_each)}"))
    n_all = len(set(split.speaker) - {""})
    rows.append(("speakers", *(f"{speakers[part] or NONE}" for part in parts), f"{n_all or NONE}"))
    return Table(
        caption=f"Utterances by emotion and part, fold {run.result.folds[0].fold}.",
        header=("emotion", *parts, "total"),
        rows=tuple(rows),
        n_summary=2,
    )
