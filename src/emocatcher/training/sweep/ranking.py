"""Rank settings by their finished trials; the order of the trials does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

import msgspec
import numpy as np

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Fold
from emocatcher.evaluation.scoring import bootstrap, metrics
from emocatcher.evaluation.scoring.bootstrap import Counts, Rates
from emocatcher.training.sweep.inner_folds import InnerFold
from emocatcher.training.sweep.plan import Choice, Plan, RankBy, differences
from emocatcher.training.sweep.trial import Finished, Trial

_COLUMNS: tuple[RankBy, ...] = ("accuracy", "unweighted_average_recall")  # columns of `metrics.resampled_scores`


class Score(msgspec.Struct, frozen=True):
    """A score over all validation answers, and its difference from the baseline; fractions."""

    value: float
    interval: tuple[float, float]
    difference: float | None  # None if the baseline diverged
    difference_interval: tuple[float, float] | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The rank of one setting; without scores if a trial diverged."""

    rank: int | None
    setting: str
    differs: tuple[str, ...]  # from the baseline
    n_trials: int
    accuracy: Score | None
    unweighted_average_recall: Score | None
    diverged: str | None


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `ranking.json`. It has no durations, so a resumed sweep gives the same bytes."""

    note: str
    preset: str
    corpus: str
    protocol: str
    folds: tuple[int, ...]
    n_splits: int
    seeds: tuple[int, ...]
    separates_speakers: bool
    ranked_by: RankBy
    baseline: str
    n_utterances: int  # of the validation parts, each counted once
    n_speakers: int
    level: float
    resampled: str  # "speakers" or "utterances"
    n_resamples: int
    settings: tuple[Row, ...]  # the best first


def all_trials(choices: Sequence[Choice], inner: Sequence[InnerFold], seeds: Sequence[int]) -> list[Trial]:
    """List all trials, alternating between settings, so an interrupted sweep has done about as much of each."""
    return [Trial(choice.name, one.fold, one.split, seed) for seed in seeds for one in inner for choice in choices]


def rank(plan: Plan, corpus: Corpus, inner: Sequence[InnerFold], finished: Mapping[Trial, Finished]) -> Ranking:
    """Rank the settings by their predictions for the validation parts after the last epoch.

    Args:
        plan: the sweep.
        corpus: the utterances.
        inner: the inner folds.
        finished: all trials of the sweep.
    """
    file = plan.file
    answers = [(seed, one, id_) for seed in file.seeds for one in inner for id_ in one.valid]
    utterances = corpus.select([id_ for *_, id_ in answers])
    position = {label: i for i, label in enumerate(corpus.labels)}
    true = np.array([position[each.emotion] for each in utterances], np.int64)
    by_speaker = all(each.speaker is not None for each in utterances) and len({each.speaker for each in utterances}) > 1
    # Without speakers, an utterance is drawn with its predictions under all seeds: seeds are not further recordings.
    of = bootstrap.clusters([each.speaker if by_speaker else each.id for each in utterances], len(utterances))

    def confusions_of(choice: Choice) -> Counts:
        predicted = [
            position[finished[Trial(choice.name, one.fold, one.split, seed)].predictions[id_]]
            for seed, one, id_ in answers
        ]
        return metrics.confusions_by_cluster(true, np.array(predicted, np.int64), of, len(corpus.labels))

    trials = all_trials(plan.choices, inner, file.seeds)
    diverged = {trial.setting: finished[trial].diverged for trial in reversed(trials) if finished[trial].diverged}
    converged = [choice for choice in plan.choices if choice.name not in diverged]
    confusions = {choice.name: confusions_of(choice) for choice in converged}
    each_setting = list(confusions.values())

    def all_scores(times_drawn: Rates) -> Rates:
        """Scores of all settings on the same draws, shape (n_resamples, n_settings, 2), so differences are paired."""
        return np.stack([metrics.resampled_scores(times_drawn, each) for each in each_setting], axis=1)

    drawn = (
        dict(zip(confusions, np.moveaxis(bootstrap.resample(of, all_scores), 1, 0), strict=True)) if converged else {}
    )
    whole = {name: metrics.resampled_scores(np.ones((1, len(each))), each)[0] for name, each in confusions.items()}
    baseline = plan.choices[0]

    def score(name: str, which: RankBy) -> Score | None:
        if name not in drawn:
            return None
        column = _COLUMNS.index(which)
        value, draws = float(whole[name][column]), drawn[name][:, column]
        if baseline.name not in drawn:
            return Score(value, bootstrap.interval(draws), None, None)
        return Score(
            value=value,
            interval=bootstrap.interval(draws),
            difference=value - float(whole[baseline.name][column]),
            difference_interval=bootstrap.interval(draws - drawn[baseline.name][:, column]),
        )

    keys = {name: _key(each, file.rank_by) for name, each in whole.items()}
    ranked = sorted(plan.choices, key=lambda choice: keys.get(choice.name, (1.0, 1.0)))
    # From the utterances: what the protocol states applies to its test parts only.
    separates = not any(protocols.speakers_shared(Fold(one.train, (), one.valid), corpus) for one in inner)
    rows = tuple(
        Row(
            rank=1 + sum(key < keys[choice.name] for key in keys.values()) if choice.name in keys else None,
            setting=choice.name,
            differs=differences(choice.settings, baseline.settings),
            n_trials=len(inner) * len(file.seeds),
            accuracy=score(choice.name, "accuracy"),
            unweighted_average_recall=score(choice.name, "unweighted_average_recall"),
            diverged=diverged.get(choice.name),
        )
        for choice in ranked
    )
    return Ranking(
        note=note(plan, separates_speakers=separates),
        preset=plan.base.preset,
        corpus=corpus.name,
        protocol=file.protocol,
        folds=file.folds,
        n_splits=len(inner),
        seeds=file.seeds,
        separates_speakers=separates,
        ranked_by=file.rank_by,
        baseline=baseline.name,
        n_utterances=len({each.id for each in utterances}),
        n_speakers=len({each.speaker for each in utterances} - {None}),
        level=bootstrap.LEVEL,
        resampled="speakers" if by_speaker else "utterances",
        n_resamples=bootstrap.N_RESAMPLES,
        settings=rows,
    )


def note(plan: Plan, *, separates_speakers: bool) -> str:
    """Describe what a ranking was measured on, in one sentence."""
    folds = plan.file.folds
    which = f"fold {folds[0]}" if len(folds) == 1 else f"folds {', '.join(map(str, folds))}"
    clips = "of speakers not trained on" if separates_speakers else "of speakers that may have been trained on"
    part = "the test part" if len(folds) == 1 else "the test parts"
    return (
        f"Validation inside the training part of {plan.file.protocol}, {which}, on clips {clips}, at the last epoch; "
        f"no clip of {part} was touched."
    )


def seconds_a_trial(finished: Mapping[Trial, Finished]) -> dict[str, float]:
    """Return the mean duration of a trial of each setting, on one core."""
    each: dict[str, list[float]] = {}
    for one in finished.values():
        each.setdefault(one.setting, []).append(one.seconds)
    return {name: mean(seconds) for name, seconds in each.items()}


def _key(whole: Rates, rank_by: RankBy) -> tuple[float, float]:
    """The sort key, best first; the other score decides ties."""
    accuracy, unweighted_average_recall = whole.tolist()
    if rank_by == "accuracy":
        return -accuracy, -unweighted_average_recall
    return -unweighted_average_recall, -accuracy
