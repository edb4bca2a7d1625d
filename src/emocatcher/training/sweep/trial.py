"""Run one trial in a worker process: train a setting on an inner fold, then predict the validation part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from emocatcher.foundation.errors import DamagedStateError, DivergedError
from emocatcher.foundation.settings import Settings
from emocatcher.training import training_pool
from emocatcher.training.dataset import Part
from emocatcher.training.encoding import EncodedClips
from emocatcher.training.feature_cache import FeatureTable

if TYPE_CHECKING:
    from emocatcher.training.fold_trainer import FoldTrainer


class Trial(msgspec.Struct, frozen=True):
    """The identity of a trial."""

    setting: str
    fold: int
    split: int
    seed: int


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `trials.jsonl`."""

    setting: str
    fold: int
    split: int
    seed: int
    seconds: float  # sum over its epochs
    train_loss: float | None = None  # of the last epoch
    predictions: dict[str, str] = {}  # validation utterance → emotion, after the last epoch
    diverged: str | None = None  # why there are no predictions

    @property
    def trial(self) -> Trial:
        """The trial of this line."""
        return Trial(self.setting, self.fold, self.split, self.seed)


class TrialTask(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a worker needs for one trial; there is no test part."""

    trial: Trial
    number: int  # the number of the trial, for its reports
    inner: int  # the number of the inner fold; it and the seed determine all random numbers
    settings: Settings
    labels: tuple[str, ...]
    features: FeatureTable
    encoded: EncodedClips | None = None
    train: Part
    valid: Part
    resume_dir: Path
    device: str = "cpu"


class EpochDone(msgspec.Struct, frozen=True):
    """The report of a trial after an epoch."""

    number: int  # the number of the trial
    epoch: int
    train_loss: float


def run(task: TrialTask) -> Finished:
    """Train to the last epoch, or resume, and only then predict the validation part.

    No epoch is selected, so the training loop gets the training part only.

    Raises:
        RunError: if the state cannot be saved.
    """
    from emocatcher.training.fold_trainer import FoldTrainer

    trainer = FoldTrainer(
        task.settings,
        task.labels,
        task.features,
        {"train": task.train},
        fold=task.inner,
        seed=task.trial.seed,
        resume_dir=task.resume_dir,
        encoded=task.encoded,
        device=task.device,
    )
    try:
        trainer.restore()
    except DamagedStateError as error:
        training_pool.report(str(error))
    if trainer.epochs:
        training_pool.report(EpochDone(task.number, len(trainer.epochs), trainer.epochs[-1].train_loss))
    which = msgspec.structs.asdict(task.trial)
    try:
        trainer.run(lambda epoch: training_pool.report(EpochDone(task.number, epoch.epoch, epoch.train_loss)))
    except DivergedError as error:
        one = task.trial
        # The trainer names the inner fold by its number; replace that.
        why = f"fold {one.fold}, split {one.split}, seed {one.seed}, {str(error).partition(', ')[2]}"
        return Finished(**which, seconds=_seconds(trainer), diverged=why)
    logits, _ = trainer.evaluate(task.valid)
    predicted = [task.labels[best] for best in logits.argmax(axis=1)]
    return Finished(
        **which,
        seconds=_seconds(trainer),
        train_loss=trainer.epochs[-1].train_loss,
        predictions=dict(zip(task.valid.ids, predicted, strict=True)),
    )


def _seconds(trainer: FoldTrainer) -> float:
    return round(sum(epoch.seconds for epoch in trainer.epochs), 3)
