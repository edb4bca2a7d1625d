"""Score each run, and the seeds of one recipe together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from emocatcher.evaluation.run_folder import Floats, Predictions
from emocatcher.evaluation.scoring import calibration, metrics
from emocatcher.evaluation.scoring.run_result import Listeners
from emocatcher.foundation.errors import RunError
from emocatcher.reports.comparison import groups
from emocatcher.reports.run_report import Run, between, chance
from emocatcher.reports.run_report.reliability import N_BINS


class Spread(msgspec.Struct, frozen=True):
    """A mean over seeds and the sample standard deviation (n - 1), which is None for one seed."""

    mean: float | None
    std: float | None = None


class Speaker(msgspec.Struct, frozen=True):
    """The accuracy on one speaker."""

    name: str
    accuracy: float


class Bins(msgspec.Struct, frozen=True):
    """A reliability diagram; None marks an empty bin."""

    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    n_utterances: tuple[int, ...]


class OneRun(msgspec.Struct, frozen=True):
    """One seed. Rates are fractions in 0..1."""

    name: str
    seed: int
    accuracy: float
    unweighted_average_recall: float
    macro_f1: float
    expected_calibration_error: float
    training_seconds: float | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or several that differ only in their seed. Rates are fractions in 0..1.

    Accuracy, UAR, macro F1 and recall are means over folds, as in the runs' reports; intervals, speakers, genders and
    calibration are computed over the predictions of all folds and seeds together.
    """

    name: str
    preset: str
    corpus: str
    protocol: str
    speakers_shared: groups.Shared
    cannot_claim: str
    selection: str
    optimistic: bool
    synthetic: bool
    labels: tuple[str, ...]
    n_folds: int
    n_epochs: int
    n_test: int
    n_speakers: int
    accuracy: Spread
    accuracy_interval: tuple[float, float]
    chance: float  # the accuracy of always answering the most frequent emotion of the test part
    unweighted_average_recall: Spread
    unweighted_average_recall_interval: tuple[float, float]
    level: float
    resampled: str
    macro_f1: Spread
    worst_speaker: Speaker | None
    best_speaker: Speaker | None
    by_gender: dict[str, float]
    recall: dict[str, Spread]
    expected_calibration_error: Spread
    reliability: Bins
    n_parameters: int
    training_seconds: Spread
    runs: tuple[OneRun, ...]
    cells: tuple[between.Cell, ...] = ()  # of runs between corpora: the UAR on each tested corpus, seed by seed
    listeners: tuple[Listeners, ...] = ()  # of the first seed, on the tested corpora that have votes
    chance_of_recall: float | None = None  # of runs between corpora: the mean UAR of any guess


def spread(values: Iterable[float | None]) -> Spread:
    """Return the mean and the sample standard deviation of the known values.

    Examples:
        >>> spread([0.5, 0.7, None]).mean, spread([0.5]).std
        (0.6, None)
    """
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return Spread(None)
    return Spread(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


def row(members: Sequence[Run], name: str) -> Row:
    """Score the runs of one group.

    Args:
        members: runs that differ only in their seed, as `groups.group` returns them.
        name: the name of the row.

    Raises:
        RunError: if a run's probabilities are not valid distributions.
    """
    first = members[0].result
    selected = [run.result.mean.selected for run in members]
    seeds = tuple(_one_run(run) for run in members)
    true, predicted, speaker, gender, utterance, probabilities = _concatenate([run.predictions for run in members])
    # Where speakers are unknown, an utterance is drawn with all its seeds, because seeds are not further recordings.
    has_speakers = bool((speaker != "").all()) and len(np.unique(speaker)) > 1
    several = len(members) > 1
    clusters = speaker.tolist() if has_speakers else utterance.tolist() if several else None
    intervals = metrics.bootstrap_intervals(true, predicted, clusters, len(first.labels))
    over = between.average(members)
    speakers = _rank_speakers(true == predicted, speaker)
    bins = calibration.reliability(probabilities, true, N_BINS)
    return Row(
        name=name,
        preset=first.preset,
        corpus=first.corpus,
        protocol=first.protocol,
        speakers_shared=groups.speakers_shared(members[0]),
        cannot_claim=first.cannot_claim,
        selection=first.selection,
        optimistic=first.optimistic,
        synthetic=first.synthetic,
        labels=first.labels,
        n_folds=len(first.folds),
        n_epochs=first.n_epochs,
        n_test=sum(fold.n_test for fold in first.folds),
        n_speakers=len(np.unique(speaker[speaker != ""])),
        accuracy=spread(one.accuracy for one in selected),
        accuracy_interval=intervals.accuracy,
        chance=chance.level(members[0]).accuracy,
        unweighted_average_recall=spread(one.unweighted_average_recall for one in selected),
        unweighted_average_recall_interval=(
            over.unweighted_average_recall_interval if over else intervals.unweighted_average_recall
        ),
        level=intervals.level,
        resampled="speakers" if has_speakers else "utterances",
        macro_f1=spread(one.macro_f1 for one in selected),
        worst_speaker=speakers[0] if len(speakers) > 1 else None,
        best_speaker=speakers[-1] if len(speakers) > 1 else None,
        by_gender={
            kind: float((true == predicted)[gender == kind].mean()) for kind in np.unique(gender).tolist() if kind
        },
        recall={label: spread(one.recall.get(label) for one in selected) for label in first.labels},
        expected_calibration_error=spread(one.expected_calibration_error for one in seeds),
        reliability=Bins(
            _none_for_nan(bins.confidence), _none_for_nan(bins.accuracy), tuple(bins.n_utterances.tolist())
        ),
        n_parameters=first.n_parameters,
        training_seconds=spread(one.training_seconds for one in seeds),
        runs=seeds,
        cells=tuple(cell for run in members for cell in between.of_run(run)) if over else (),
        listeners=first.listeners,
        chance_of_recall=over.chance if over else None,
    )


def _one_run(run: Run) -> OneRun:
    selected = run.result.mean.selected
    try:
        error = metrics.expected_calibration_error(run.predictions.probabilities, run.predictions.emotion)
    except ValueError as reason:
        raise RunError(f"'{run.name}/predictions.csv': {reason}. Train again into a new folder") from None
    return OneRun(
        name=run.name,
        seed=run.result.seed,
        accuracy=selected.accuracy,
        unweighted_average_recall=selected.unweighted_average_recall,
        macro_f1=selected.macro_f1,
        expected_calibration_error=error,
        training_seconds=run.result.seconds.get("training"),
    )


def _concatenate(each: Sequence[Predictions]) -> tuple[np.ndarray, ...]:
    fields = ("emotion", "predicted", "speaker", "gender", "utterance", "probabilities")
    return tuple(np.concatenate([getattr(one, field) for one in each]) for field in fields)


def _rank_speakers(correct: np.ndarray, speaker: np.ndarray) -> list[Speaker]:
    names, of = np.unique(speaker, return_inverse=True)
    rates = np.bincount(of, weights=correct) / np.bincount(of)
    found = [Speaker(name, rate) for name, rate in zip(names.tolist(), rates.tolist(), strict=True) if name]
    return sorted(found, key=lambda one: (one.accuracy, one.name))


def _none_for_nan(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in values.tolist())
