"""What is said of one recording: one type for the command line, the API, the server and the batch engine."""

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
    """One reason to trust an answer less."""

    code: Code  # for programs; the set is part of the schema
    message: str  # for people: what was found, with the value

    def __str__(self) -> str:
        return self.message


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard in one recording.

    As JSON (`msgspec.json.encode`) it follows the schema that `emocatcher.schema` publishes.
    """

    schema_version: int = SCHEMA_VERSION
    path: str  # as it was given; "" for bytes and arrays
    emotion: str  # the most probable label
    probability: float  # of that emotion, calibrated
    probabilities: dict[str, float]  # by label, in the model's order; they sum to 1
    margin: float  # the first probability less the second
    entropy: float  # of the probabilities, in nats: 0 (certain) to ln(n_classes)
    abstain: bool  # the probability is under the model's threshold, or the one asked for; or nobody spoke
    voiced_start_s: float
    voiced_end_s: float
    duration_s: float
    attention: tuple[tuple[float, float], ...]  # (time in s, weight); the weights sum to 1
    model: str
    model_version: str  # of emocatcher, when the model was written
    warnings: tuple[Caution, ...] = ()

    @property
    def voiced(self) -> tuple[float, float]:
        """From where to where there is voice, seconds: `voiced_start_s` and `voiced_end_s`."""
        return self.voiced_start_s, self.voiced_end_s

    @property
    def nobody_spoke(self) -> bool:
        """Whether no speech was found; then the emotion is no answer, however probable."""
        return any(caution.code == "no-speech" for caution in self.warnings)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why one recording of many gave no prediction."""

    schema_version: int = SCHEMA_VERSION
    path: str
    error: str  # the kind, e.g. "DecodeError"
    message: str  # one line, without the path
