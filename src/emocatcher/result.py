"""The shapes of a run folder's JSON files. Rates are fractions in 0..1, losses are label-smoothed, in nats."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be run; `run.json`. A run is resumed only with the same plan."""

    corpus: str  # its name
    protocol: str
    seed: int
    n_utterances: int
    teachers: tuple[str, ...] = ()  # run folders


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `metrics.jsonl`. The training figures are running ones, with dropout, as the published work's are."""

    fold: int
    epoch: int  # counts from 1
    learning_rate: float
    train_loss: float
    train_accuracy: float
    valid_loss: float | None
    valid_accuracy: float | None
    test_loss: float
    test_accuracy: float
    test_unweighted_average_recall: float
    seconds: float


class LastEpochs(msgspec.Struct, frozen=True):
    """A rate or a loss at the end of training."""

    last: float
    last_10_mean: float
    last_10_std: float


class AllEpochs(LastEpochs, frozen=True):
    """The same, and at the epoch that did best on the test part (optimistic)."""

    best_test: float


class Scores(msgspec.Struct, frozen=True):
    """What the selected model reached on the test part, as fractions in 0..1."""

    accuracy: float
    unweighted_average_recall: float
    macro_f1: float
    recall: dict[str, float | None]  # None for an emotion without a test utterance


class FoldScores(Scores, frozen=True):
    """Scores of one fold, with their bootstrap intervals."""

    accuracy_interval: tuple[float, float]
    unweighted_average_recall_interval: tuple[float, float]


class Fold(msgspec.Struct, frozen=True):
    """One fold's entry in `result.json`."""

    fold: int
    n_train: int
    n_valid: int
    n_test: int
    selected_epoch: int
    accuracy: AllEpochs
    unweighted_average_recall: AllEpochs
    loss: AllEpochs
    train_accuracy: LastEpochs
    train_loss: LastEpochs
    selected: FoldScores


class OverFolds(msgspec.Struct, frozen=True):
    """One statistic (mean, std, min or max) of every score over the folds."""

    accuracy: AllEpochs
    unweighted_average_recall: AllEpochs
    loss: AllEpochs
    selected: Scores


class Interval(msgspec.Struct, frozen=True):
    """Bootstrap intervals over the predictions of all folds."""

    accuracy: tuple[float, float]
    unweighted_average_recall: tuple[float, float]
    level: float
    resampled: str  # "speakers" or "utterances"
    n_resamples: int


class Result(msgspec.Struct, frozen=True):
    """`result.json`, whole."""

    protocol: str
    separates_speakers: bool
    speakers_shared: bool
    cannot_claim: str
    corpus: str
    corpus_argument: str  # as it was asked for
    licence: str
    synthetic: bool
    preset: str
    selection: str
    optimistic: bool
    seed: int
    n_parameters: int
    n_epochs: int
    n_utterances: int
    n_speakers: int
    labels: tuple[str, ...]
    seconds: dict[str, float]
    folds: tuple[Fold, ...]
    mean: OverFolds
    std: OverFolds
    min: OverFolds
    max: OverFolds
    lowest_fold: int
    highest_fold: int
    interval: Interval

    def fold(self, number: int) -> Fold:
        """The entry of the fold with this number."""
        return next(fold for fold in self.folds if fold.fold == number)
