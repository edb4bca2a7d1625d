"""Convert an outcome to a row of a flat table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from emocatcher.audio.channels import Channels
from emocatcher.foundation.errors import one_line
from emocatcher.models.model_folder import ModelConfig
from emocatcher.recognition.prediction import Failure, Prediction

Outcome: TypeAlias = Prediction | Failure
Value: TypeAlias = str | float | bool | int | None

_BEFORE: dict[str, type] = {"path": str, "channel": int, "emotion": str, "probability": float}
_AFTER: dict[str, type] = {
    "margin": float,
    "entropy": float,
    "abstain": bool,
    "voiced_start_s": float,
    "voiced_end_s": float,
    "duration_s": float,
    "warnings": str,
    "error": str,
    "message": str,
    "model": str,
    "model_version": str,
    "settled_on": int,
    "schema_version": int,
}


class Ids(NamedTuple):
    """The ids that a user's table has of its recordings."""

    column: str
    of: Mapping[str, str]  # by path, as a row has it


class Outputs(NamedTuple):
    """What a model returns for a recording, which gives a table its columns, and the ids that come first."""

    labels: tuple[str, ...]
    dimensions: tuple[str, ...] = ()  # their names
    ids: Ids | None = None

    @classmethod
    def of(cls, config: ModelConfig) -> Outputs:
        """Return the outputs of a model."""
        return cls(config.labels, tuple(one.name for one in config.dimensions))


class Written(NamedTuple):
    """A row on disk."""

    path: str
    failed: bool
    channel: int | None = None  # from 1; None for the mix, and for failures


def recordings(written: Iterable[Written], channels: Channels) -> list[Written]:
    """Return one row for each recording: of a recording with a row for each channel, which are one after another.

    Such rows are written in one go, so a recording has all of them, or none.
    """
    return [row for row in written if channels != "each" or row.channel in (None, 1)]


def columns(outputs: Outputs) -> dict[str, type]:
    """Return the name and type of each column; every label has a column for its probability and for its share.

    Examples:
        >>> list(columns(Outputs(("calm", "sad"))))[:6]
        ['path', 'channel', 'emotion', 'probability', 'probability_calm', 'probability_sad']
        >>> list(columns(Outputs(("calm",), ("arousal", "valence"))))[4:8]
        ['probability_calm', 'share_calm', 'arousal', 'valence']
    """
    of_labels = [f"{name}_{label}" for name in ("probability", "share") for label in outputs.labels]
    first: dict[str, type] = {outputs.ids.column: str} if outputs.ids else {}
    return first | _BEFORE | dict.fromkeys([*of_labels, *outputs.dimensions], float) | _AFTER


def row(outcome: Outcome, outputs: Outputs) -> dict[str, Value]:
    """Return the values of one row; None where there is no value."""
    empty: dict[str, Value] = dict.fromkeys(columns(outputs))
    if outputs.ids:
        empty[outputs.ids.column] = outputs.ids.of.get(outcome.path)
    if isinstance(outcome, Failure):
        return empty | msgspec.structs.asdict(outcome)
    values = msgspec.structs.asdict(outcome)
    values["warnings"] = ";".join(caution.code for caution in outcome.warnings)
    values |= {f"probability_{label}": outcome.probabilities.get(label) for label in outputs.labels}
    values |= {f"share_{label}": outcome.shares.get(label) for label in outputs.labels}
    values |= {name: rating.value for name, rating in outcome.dimensions.items()}
    return empty | {name: value for name, value in values.items() if name in empty}


def printable(outcome: Outcome) -> Outcome:
    """Return the outcome with its texts on one line; a file name may contain line breaks or invalid bytes."""
    if isinstance(outcome, Failure):
        outcome = msgspec.structs.replace(outcome, message=one_line(outcome.message))
    return msgspec.structs.replace(outcome, path=one_line(outcome.path))


def decode(line: bytes) -> Outcome:
    """Decode an outcome that `msgspec.json.encode` wrote.

    Raises:
        msgspec.DecodeError: if the line is anything else.
    """
    failed = "error" in msgspec.json.decode(line)
    kind: type[Outcome] = Failure if failed else Prediction
    return msgspec.json.decode(line, type=kind)
