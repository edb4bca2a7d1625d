"""Score the answers of all folds: the content of `result.json`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.corpora.table import Corpus, Utterance, ratings
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring import (
    calibration,
    concordance,
    faithfulness,
    listeners,
    metrics,
    over_corpora,
    run_result,
    speaker_groups,
)
from emocatcher.evaluation.scoring.run_result import Plan
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.foundation.settings import Settings
from emocatcher.training.fold import FoldOutcome, FoldTask

_N_LAST = 10  # epochs, as in the published scores

_Statistic = Callable[[Sequence[float]], float]


def score_run(
    corpus: Corpus,
    plan: Plan,
    protocol: Protocol,
    settings: Settings,
    tasks: Sequence[FoldTask],
    outcomes: Sequence[FoldOutcome],
    seconds: dict[str, float],
    corpus_argument: str,
) -> run_result.Result:
    """Score every fold, and all folds together.

    Args:
        corpus: the utterances.
        plan: the run's corpus, protocol, seed and teachers.
        protocol: the folds.
        settings: the recipe.
        tasks: one for each fold.
        outcomes: one for each fold, in the order of `tasks`.
        seconds: the duration of each stage.
        corpus_argument: the argument that named the corpus.
    """
    folds = [
        _fold(corpus, task, outcome, one.between)
        for task, outcome, one in zip(tasks, outcomes, protocol.folds, strict=True)
    ]
    accuracies = [one.selected.accuracy for one in folds]
    true = np.concatenate([task.parts["test"].true for task in tasks])
    predicted = np.concatenate([outcome.logits.argmax(axis=1) for outcome in outcomes])
    tested = corpus.select([id_ for task in tasks for id_ in task.parts["test"].ids])
    speakers = _speakers_of(tested)
    calibrated, answered = _calibration(tasks, outcomes, true, speakers)
    pooled = metrics.bootstrap_intervals(true, predicted, speakers, len(corpus.labels))
    over = _over_corpora(corpus, tasks, outcomes, protocol)
    selection = settings.training.selection
    return run_result.Result(
        protocol=protocol.name,
        separates_speakers=protocol.separates_speakers,
        speakers_shared=bool(tasks[0].training.speakers_shared),
        cannot_claim=protocol.cannot_claim,
        corpus=corpus.name,
        corpus_argument=corpus_argument,
        licence=corpus.licence,
        synthetic=corpus.synthetic,
        preset=settings.preset,
        selection=selection,
        optimistic=selection == "best-test",
        seed=plan.seed,
        n_parameters=outcomes[0].n_parameters,
        n_epochs=settings.training.n_epochs,
        n_utterances=len(corpus),
        n_speakers=len(corpus.speakers),
        n_with_votes=sum(utterance.votes is not None for utterance in corpus),
        labels=corpus.labels,
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
        folds=tuple(folds),
        mean=_over_folds(folds, lambda values: float(np.mean(values))),
        std=_over_folds(folds, lambda values: float(np.std(values))),
        min=_over_folds(folds, min),
        max=_over_folds(folds, max),
        lowest_fold=folds[int(np.argmin(accuracies))].fold,
        highest_fold=folds[int(np.argmax(accuracies))].fold,
        interval=run_result.Interval(
            accuracy=pooled.accuracy,
            # Folds between corpora have different classes, so that only their mean has an interval.
            unweighted_average_recall=(
                over.unweighted_average_recall_interval if over else pooled.unweighted_average_recall
            ),
            level=pooled.level,
            resampled=pooled.resampled,
            n_resamples=pooled.n_resamples,
        ),
        faithfulness=_faithfulness(corpus, tasks, outcomes),
        calibration=calibrated,
        over_corpora=over,
        listeners=listeners.score(
            tested, true, predicted, corpus.labels, scored=_scored(tasks, len(corpus.labels)), corpus=corpus.name
        ),
        speaker_groups=speaker_groups.score(
            tested, true, predicted, len(corpus.labels), answered=answered, corpus=corpus.name
        ),
        dimensions=concordance.score(
            ratings(tested, corpus.dimensions), _ratings(outcomes), speakers, corpus.dimensions
        ),
    )


def _ratings(outcomes: Sequence[FoldOutcome]) -> NDArray[np.float32]:
    """The estimated ratings of all folds, shape (n_utterances, n_dimensions)."""
    found = [np.empty((len(one.logits), 0), np.float32) if one.ratings is None else one.ratings for one in outcomes]
    return np.concatenate(found)


def _scored(tasks: Sequence[FoldTask], n_classes: int) -> NDArray[np.bool_]:
    """Which classes count for each test utterance, shape (n_utterances, n_classes)."""
    parts = [task.parts["test"] for task in tasks]
    return np.concatenate([np.isfinite(part.mask(np.zeros((len(part.ids), n_classes), np.float32))) for part in parts])


def _over_corpora(
    corpus: Corpus, tasks: Sequence[FoldTask], outcomes: Sequence[FoldOutcome], protocol: Protocol
) -> run_result.OverCorpora | None:
    """Average the UAR over the folds of a protocol between corpora; None for other protocols."""
    between = [one.between for one in protocol.folds if one.between]
    if len(between) < len(protocol.folds):
        return None
    answers = [
        over_corpora.Answers(
            task.parts["test"].true,
            outcome.logits.argmax(axis=1),
            _speakers(corpus, task.parts["test"].ids),
            "+".join(one.tested_on),
        )
        for task, outcome, one in zip(tasks, outcomes, between, strict=True)
    ]
    return over_corpora.average(answers, [one.chance for one in between], len(corpus.labels))


def _calibration(
    tasks: Sequence[FoldTask],
    outcomes: Sequence[FoldOutcome],
    true: NDArray[np.int64],
    speakers: list[str | None] | None,
) -> tuple[run_result.Calibration, NDArray[np.bool_]] | tuple[None, None]:
    """Calibrate over the folds, and mark the utterances that are answered; None for one fold."""
    if len(tasks) < 2:
        return None, None
    folds = np.repeat([task.fold for task in tasks], [len(outcome.logits) for outcome in outcomes])
    probabilities = np.concatenate([softmax(outcome.logits) for outcome in outcomes])
    found = calibration.calibrate(probabilities, true, folds, groups=speakers)
    return found, calibration.answered(probabilities, folds, found)


def _faithfulness(
    corpus: Corpus, tasks: Sequence[FoldTask], outcomes: Sequence[FoldOutcome]
) -> run_result.Faithfulness | None:
    """Summarise the deletions in the clips of these folds; None if a fold was not probed."""
    probed = [outcome.probe for outcome in outcomes if outcome.probe]
    if len(probed) < len(outcomes):
        return None
    ids = [task.parts["test"].ids[i] for task, one in zip(tasks, probed, strict=True) for i in one.clips]
    return faithfulness.summarise(probed, _speakers(corpus, ids))


def _fold(corpus: Corpus, task: FoldTask, outcome: FoldOutcome, between: run_result.Between | None) -> run_result.Fold:
    test, epochs = task.parts["test"], outcome.epochs
    predicted = outcome.logits.argmax(axis=1)
    scores = metrics.score(test.true, predicted, corpus.labels)
    intervals = metrics.bootstrap_intervals(test.true, predicted, _speakers(corpus, test.ids), len(corpus.labels))
    best = int(np.argmax([epoch.test_accuracy for epoch in epochs]))

    def all_epochs(values: list[float], at_best: float) -> run_result.AllEpochs:
        return run_result.AllEpochs(**_last_epochs(values), best_test=at_best)

    recalls = [epoch.test_unweighted_average_recall for epoch in epochs]
    return run_result.Fold(
        fold=task.fold,
        n_train=len(task.parts["train"].ids),
        n_valid=len(task.parts["valid"].ids) if "valid" in task.parts else 0,
        n_test=len(test.ids),
        selected_epoch=outcome.selected_epoch,
        accuracy=all_epochs([epoch.test_accuracy for epoch in epochs], epochs[best].test_accuracy),
        unweighted_average_recall=all_epochs(recalls, recalls[best]),
        loss=all_epochs([epoch.test_loss for epoch in epochs], epochs[best].test_loss),
        train_accuracy=run_result.LastEpochs(**_last_epochs([epoch.train_accuracy for epoch in epochs])),
        train_loss=run_result.LastEpochs(**_last_epochs([epoch.train_loss for epoch in epochs])),
        selected=run_result.FoldScores(
            accuracy=scores.accuracy,
            unweighted_average_recall=scores.unweighted_average_recall,
            macro_f1=scores.macro_f1,
            recall=scores.recall,
            accuracy_interval=intervals.accuracy,
            unweighted_average_recall_interval=intervals.unweighted_average_recall,
        ),
        faithfulness=_faithfulness(corpus, [task], [outcome]),
        between=between,
    )


def _last_epochs(values: list[float]) -> dict[str, float]:
    last = values[-_N_LAST:]
    return {"last": values[-1], "last_10_mean": float(np.mean(last)), "last_10_std": float(np.std(last))}


def _over_folds(folds: Sequence[run_result.Fold], statistic: _Statistic) -> run_result.OverFolds:
    def all_epochs(name: str) -> run_result.AllEpochs:
        values = [getattr(one, name) for one in folds]
        fields = run_result.AllEpochs.__struct_fields__
        return run_result.AllEpochs(
            **{field: statistic([getattr(value, field) for value in values]) for field in fields}
        )

    def selected(name: str) -> float:
        return statistic([getattr(one.selected, name) for one in folds])

    recall: dict[str, Any] = {}
    for label in folds[0].selected.recall:
        known = [value for one in folds if (value := one.selected.recall[label]) is not None and not math.isnan(value)]
        recall[label] = statistic(known) if known else None
    return run_result.OverFolds(
        accuracy=all_epochs("accuracy"),
        unweighted_average_recall=all_epochs("unweighted_average_recall"),
        loss=all_epochs("loss"),
        selected=run_result.Scores(
            accuracy=selected("accuracy"),
            unweighted_average_recall=selected("unweighted_average_recall"),
            macro_f1=selected("macro_f1"),
            recall=recall,
        ),
    )


def _speakers(corpus: Corpus, ids: Sequence[str]) -> list[str | None] | None:
    return _speakers_of(corpus.select(ids))


def _speakers_of(utterances: Sequence[Utterance]) -> list[str | None] | None:
    speakers = [utterance.speaker for utterance in utterances]
    return None if None in speakers else speakers
