"""The result of recognising one recording: one type for the command line, the API, the server and the batch engine."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

SCHEMA_VERSION = 1

Code: TypeAlias = Literal[
    "no-speech",
    "too-short",
    "too-long",
    "clipped",
    "narrow-band",
    "very-quiet",
    "truncated",
    "no-voiced-span",
    "outside-training-conditions",
]
CODES: tuple[Code, ...] = get_args(Code)


class Caution(msgspec.Struct, frozen=True):
    """A reason to trust the prediction less."""

    code: Code  # for programs; the set is part of the schema
    message: str  # for people: the finding, with the value

    def __str__(self) -> str:
        return self.message


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The result of recognising one recording.

    Its JSON (`msgspec.json.encode`) conforms to the schema that `emocatcher.recognition.json_schema` publishes.
    """

    schema_version: int = SCHEMA_VERSION
    path: str  # as given; "" for bytes and arrays
    emotion: str  # the most probable label
    probability: float  # of that emotion, calibrated
    probabilities: dict[str, float]  # by label, in the model's order; they sum to 1
    margin: float  # highest probability minus the second highest
    entropy: float  # of the probabilities, in nats: 0 (certain) to ln(n_classes)
    abstain: bool  # the probability is below the threshold (the model's or the caller's), or there is no speech
    voiced_start_s: float
    voiced_end_s: float
    duration_s: float
    attention: tuple[tuple[float, float], ...]  # (time in s, weight); the weights sum to 1
    model: str
    model_version: str  # of emocatcher, when the model was written
    warnings: tuple[Caution, ...] = ()

    @property
    def voiced(self) -> tuple[float, float]:
        """The voiced span, seconds: (`voiced_start_s`, `voiced_end_s`)."""
        return self.voiced_start_s, self.voiced_end_s

    @property
    def nobody_spoke(self) -> bool:
        """Whether no speech was found; the emotion is then meaningless, whatever its probability."""
        return any(caution.code == "no-speech" for caution in self.warnings)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why one of many recordings has no prediction."""

    schema_version: int = SCHEMA_VERSION
    path: str
    error: str  # the exception's class name, e.g. "DecodeError"
    message: str  # one line, without the path
