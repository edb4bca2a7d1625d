"""The result of recognising one recording: one type for the command line, the API, the server and the batch engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from emocatcher.foundation.dimensions import Dimension

SCHEMA_VERSION = 2

Code: TypeAlias = Literal[
    "no-speech",
    "too-short",
    "too-long",
    "clipped",
    "narrow-band",
    "very-quiet",
    "truncated",
    "damaged",
    "unread",
    "rescaled",
    "channels-cancel",
    "channels-differ",
    "no-voiced-span",
]
CODES: tuple[Code, ...] = get_args(Code)


class Caution(msgspec.Struct, frozen=True):
    """A reason to trust the prediction less."""

    code: Code  # for programs; the set is part of the schema
    message: str  # for people: the finding, with the value

    def __str__(self) -> str:
        return self.message


class Rating(msgspec.Struct, frozen=True):
    """A dimension of emotion, such as arousal, as listeners of the training recordings rated it."""

    value: float
    low: float  # of the range of the ratings, which the value is within
    high: float


def rate(dimensions: Sequence[Dimension], values: Sequence[float]) -> dict[str, Rating]:
    """Return the values of some dimensions by name, each limited to its range, which 32-bit numbers may round beyond.

    Examples:
        >>> rate([Dimension("arousal", 1, 7)], [7.0000001])["arousal"].value
        7
    """
    return {
        one.name: Rating(min(max(value, one.low), one.high), one.low, one.high)
        for one, value in zip(dimensions, values, strict=True)
    }


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The result of recognising one recording.

    Its JSON (`msgspec.json.encode`) conforms to the schema that `emocatcher.recognition.json_schema` publishes. Without
    speech there is no emotion, and no number about one.
    """

    schema_version: int = SCHEMA_VERSION
    path: str  # as given; "" for bytes and arrays
    channel: int | None = None  # from 1, if it was recognised alone; None for the mix of all
    emotion: str | None = None  # the most probable label; None without speech, as are the other optional fields
    probability: float | None = None  # of that emotion, calibrated
    probabilities: dict[str, float] = {}  # by label, in the model's order; they sum to 1; empty without speech
    margin: float | None = None  # highest probability minus the second highest
    entropy: float | None = None  # of the probabilities, in nats: 0 (certain) to ln(n_classes)
    abstain: bool  # the probability is below the threshold (the model's or the caller's), or there is no speech
    shares: dict[str, float] = {}  # of the speech of a long recording, by label; they sum to 1
    dimensions: dict[str, Rating] = {}  # by name, of a model that estimates some; empty without speech
    voiced_start_s: float | None = None
    voiced_end_s: float | None = None
    duration_s: float
    attention: tuple[tuple[float, float], ...] = ()  # (time in s, weight); the weights sum to 1; empty without speech
    model: str
    model_version: str  # of emocatcher, when the model was written
    settled_on: int = 0  # recordings whose common part was subtracted (see `settling`); 0 for none
    warnings: tuple[Caution, ...] = ()

    def answered(
        self,
        probabilities: dict[str, float],
        abstain_below: float,
        shares: dict[str, float] | None = None,
        **where: Any,
    ) -> Prediction:
        """Return this prediction with its emotion: the most probable one, or that of the largest share.

        Args:
            probabilities: by label, in the model's order.
            abstain_below: the prediction is marked `abstain` if the emotion's probability is lower.
            shares: of a long recording, by label; `margin` is then between the two largest shares.
            where: the remaining fields, such as the voiced span.
        """
        ranked = shares or probabilities
        emotion = max(ranked, key=ranked.__getitem__)
        first, second = sorted([*ranked.values(), 0.0], reverse=True)[:2]
        return msgspec.structs.replace(
            self,
            emotion=emotion,
            probability=probabilities[emotion],
            probabilities=probabilities,
            margin=first - second,
            entropy=-sum(p * math.log(max(p, 1e-300)) for p in probabilities.values()),
            abstain=probabilities[emotion] < abstain_below,
            shares=shares or {},
            **where,
        )

    @property
    def voiced(self) -> tuple[float, float] | None:
        """The voiced span, seconds: (`voiced_start_s`, `voiced_end_s`); None without speech."""
        if self.voiced_start_s is None or self.voiced_end_s is None:
            return None
        return self.voiced_start_s, self.voiced_end_s


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why one of many recordings has no prediction."""

    schema_version: int = SCHEMA_VERSION
    path: str
    error: str  # the exception's class name, e.g. "DecodeError"
    message: str  # one line, without the path
