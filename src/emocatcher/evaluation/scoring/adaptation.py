"""What an adaptation of a model tried, what each step gave on validation, and what was chosen."""

from __future__ import annotations

from typing import Literal

import msgspec

AS_IT_IS = "as it is"  # the step that changes nothing


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One way to adapt, scored on recordings that it was not fitted to."""

    name: str
    unweighted_average_recall: float
    interval: tuple[float, float]  # 95%
    accuracy: float
    log_loss: float  # nats, of the mean label


class Adaptation(msgspec.Struct, frozen=True, kw_only=True):
    """How a model was adapted to recordings; part of its `config.json`."""

    model: str  # the name of the model that it was adapted from
    model_sha256: str  # of that model's graph
    corpus: str  # the recordings
    n_recordings: int
    n_speakers: int | None = None  # None: not known
    n_copies: int = 0  # augmented copies of each recording
    n_with_votes: int = 0  # recordings whose targets were votes
    n_unlabelled: int = 0  # recordings without a label that a step settled on
    labels: tuple[str, ...] = ()
    n_of_label: tuple[int, ...] = ()
    validated_by: Literal["speakers", "recordings", "nothing"]  # what validation and fitting did not share
    steps: tuple[Step, ...] = ()  # the model as it was is the first
    chosen: str
    confusion: tuple[tuple[int, ...], ...] = ()  # on validation, of the chosen step; rows true, columns predicted
    confusion_before: tuple[tuple[int, ...], ...] = ()
    earlier: tuple[Adaptation, ...] = ()  # of a model that was adapted again, the first one first

    @property
    def also(self) -> str:
        """What else it was adapted to than labels, to be put behind the number of recordings; "" for nothing."""
        votes = f", {self.n_with_votes} of them with votes" if self.n_with_votes else ""
        return votes + (f", and {self.n_unlabelled} without a label" if self.n_unlabelled else "")
