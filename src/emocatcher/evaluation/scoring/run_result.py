"""The shapes of a run folder's JSON files. Rates are fractions in 0..1, losses are label-smoothed, in nats."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run trains; `run.json`. A run is resumed only with the same plan."""

    corpus: str  # its name
    protocol: str
    seed: int
    n_utterances: int
    teachers: tuple[str, ...] = ()  # run folders
    device: str = "cpu"  # only there, the same seed gives the same weights bit for bit
    votes_sha256: str = ""  # of the votes that it trains on; "" without votes
    ratings_sha256: str = ""  # of the ratings of dimensions; "" without any


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `metrics.jsonl`. Training values are running means with dropout, as in the published work."""

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
    """The same, and the value at the epoch with the best score on the test part (optimistic)."""

    best_test: float


class Scores(msgspec.Struct, frozen=True):
    """Scores of the selected model on the test part, as fractions in 0..1."""

    accuracy: float
    unweighted_average_recall: float
    macro_f1: float
    recall: dict[str, float | None]  # None for an emotion without a test utterance


class FoldScores(Scores, frozen=True):
    """Scores of one fold, with their bootstrap intervals."""

    accuracy_interval: tuple[float, float]
    unweighted_average_recall_interval: tuple[float, float]


class Estimate(msgspec.Struct, frozen=True):
    """A mean and its interval."""

    mean: float
    interval: tuple[float, float]


class Faithfulness(msgspec.Struct, frozen=True, kw_only=True):
    """How far the probability of an answer falls if a share of the clip is deleted (see `faithfulness`)."""

    attended: Estimate  # deleted: the most attended steps
    random: Estimate  # deleted: as many random steps
    least: Estimate  # deleted: the least attended steps
    occlusion: Estimate  # deleted: the steps with the highest values by occlusion
    attended_minus_random: Estimate
    occlusion_minus_random: Estimate
    attended_ahead: Estimate  # share of clips that lose more without the attended steps than without random ones
    n_clips: int
    share_deleted: float  # of a clip's steps, mean
    level: float
    resampled: str  # "speakers" or "utterances"


class FoldCalibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fold, scored with a temperature and a threshold that were chosen on the other folds only."""

    fold: int
    temperature: float
    abstain_below: float | None = None  # None: no threshold reached the accuracy, and no answer is given
    share_kept: float
    accuracy_kept: float | None = None  # None: no answer is given


class Calibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How well the probabilities are calibrated (see `emocatcher.evaluation.scoring.calibration`); rates in 0..1."""

    temperature: float  # fitted on all held-out answers
    expected_calibration_error: float  # without the temperature
    expected_calibration_error_calibrated: float  # each fold with the temperature of the other folds, as below
    area_under_risk_coverage: float
    least_accuracy: float | None = None  # that the threshold was chosen for; None: the threshold was given
    abstain_below: float | None = None  # the smallest such threshold on all held-out answers
    share_kept: float  # coverage: share of answers at or above the threshold
    accuracy_kept: float | None = None  # accuracy of these; None if there are none
    accuracy_kept_interval: tuple[float, float] | None = None
    folds: tuple[FoldCalibration, ...]


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """The two sides of a fold that tests on other corpora than it trains on, and what of them is scored."""

    trained_on: tuple[str, ...]  # corpora
    tested_on: tuple[str, ...]  # corpora; several if they share speakers
    classes: tuple[str, ...]  # that both sides have: only these are scored, and the probability is spread over them
    calm_as_neutral: bool  # whether calm utterances count as neutral, on both sides
    not_scored: dict[str, int]  # utterances of the tested corpora whose class the training part lacks, by class
    chance: float  # the UAR of any guess among the classes


class OverCorpora(msgspec.Struct, frozen=True, kw_only=True):
    """The scores between corpora, where each fold counts equally, whatever its size."""

    unweighted_average_recall: float
    unweighted_average_recall_interval: tuple[float, float]  # by drawing within each tested corpus
    chance: float  # the mean of the folds'
    n_folds: int
    level: float
    resampled: str  # "speakers", or "utterances" if a fold's speakers are unknown


class SpeakerGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answers on the speakers of one corpus who share a trait (see `speaker_groups`); rates in 0..1."""

    corpus: str  # tested on
    trait: str  # "sex", "age", "race" or "ethnicity"
    name: str
    n_speakers: int
    n_utterances: int
    unweighted_average_recall: Estimate | None = None  # None: too few speakers
    share_answered: Estimate | None = None  # where the model did not abstain; None also: it has no threshold


class Listeners(msgspec.Struct, frozen=True, kw_only=True):
    """Listeners by voice alone, and the run, on the same test clips of one corpus (see `listeners`); rates in 0..1."""

    corpus: str  # tested on
    n_utterances: int  # with votes
    n_tied: int  # without a majority, which counts as wrong
    votes_per_utterance: float
    accuracy: Estimate  # of the majority, against the label
    unweighted_average_recall: Estimate
    run_accuracy: Estimate
    run_unweighted_average_recall: Estimate
    resampled: str  # "speakers" or "utterances"


class DimensionScore(msgspec.Struct, frozen=True, kw_only=True):
    """How well a dimension, such as arousal, is estimated over all folds (see `concordance`)."""

    name: str
    low: float  # of the ratings' range
    high: float
    n_utterances: int  # that are rated
    concordance: Estimate  # the coefficient, -1 to 1
    mean_absolute_error: float  # in the units of the ratings
    resampled: str  # "speakers" or "utterances"


class Fold(msgspec.Struct, frozen=True, omit_defaults=True):
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
    faithfulness: Faithfulness | None = None  # None: a run of a version that did not measure it
    between: Between | None = None


class OverFolds(msgspec.Struct, frozen=True):
    """One statistic of each score over the folds: mean, std, min or max."""

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


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole `result.json`."""

    protocol: str
    separates_speakers: bool
    speakers_shared: bool
    cannot_claim: str
    corpus: str
    corpus_argument: str  # as the user named it
    licence: str
    synthetic: bool
    preset: str
    selection: str
    optimistic: bool
    seed: int
    n_parameters: int
    n_epochs: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
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
    faithfulness: Faithfulness | None = None  # over the clips of all folds
    calibration: Calibration | None = None  # None: one fold, or a run of an earlier version
    over_corpora: OverCorpora | None = None  # of a protocol between corpora
    speaker_groups: tuple[SpeakerGroup, ...] = ()  # over all folds; none: unknown, or a run of an earlier version
    listeners: tuple[Listeners, ...] = ()  # over all folds, of the tested corpora that have votes
    dimensions: tuple[DimensionScore, ...] = ()  # over all folds
    n_with_votes: int = 0  # utterances whose votes were the targets of training; scores are against the labels

    def fold(self, number: int) -> Fold:
        """The entry of the fold with this number."""
        return next(fold for fold in self.folds if fold.fold == number)
