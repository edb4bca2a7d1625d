"""The published JSON Schema of what is said of recordings, made from the types themselves.

`src/emocatcher/schemas/` keeps every version as a file. A type that changes needs a new SCHEMA_VERSION and a new file:
`emocatcher info --schema > src/emocatcher/schemas/prediction-VERSION.json`.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from emocatcher.prediction import SCHEMA_VERSION, Failure, Prediction

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PROBABILITY = {"minimum": 0, "maximum": 1}
_SECONDS = {"minimum": 0}
_TYPES = (Prediction, Failure)

# What the types themselves do not say: of every field what it means, its unit and its range.
_FIELDS: dict[str, dict[str, dict[str, Any]]] = {
    "Prediction": {
        "schema_version": {"description": "Version of this schema.", "const": SCHEMA_VERSION},
        "path": {"description": "The recording as it was given; empty for bytes and arrays."},
        "emotion": {"description": "The most probable label."},
        "probability": {"description": "Of that emotion, calibrated.", **_PROBABILITY},
        "probabilities": {
            "description": "By label, in the model's order, calibrated; they sum to 1.",
            "additionalProperties": {"type": "number", **_PROBABILITY},
            "minProperties": 1,
        },
        "margin": {"description": "The first probability less the second.", **_PROBABILITY},
        "entropy": {"description": "Of the probabilities, in nats: 0 (certain) to ln(labels).", "minimum": 0},
        "abstain": {"description": "The probability is under the threshold, or nobody spoke: take it as no answer."},
        "voiced_start_s": {"description": "Where the voice starts, seconds.", **_SECONDS},
        "voiced_end_s": {"description": "Where the voice ends, seconds.", **_SECONDS},
        "duration_s": {"description": "Of the recording, seconds.", **_SECONDS},
        "attention": {"description": "(time in seconds, weight) in time's order; the weights sum to 1."},
        "model": {"description": "Name of the model."},
        "model_version": {"description": "Version of emocatcher that wrote the model."},
        "warnings": {"description": "Reasons to trust the answer less, gravest first."},
    },
    "Failure": {
        "schema_version": {"description": "Version of this schema.", "const": SCHEMA_VERSION},
        "path": {"description": "The recording as it was given."},
        "error": {"description": "The kind of error, e.g. DecodeError."},
        "message": {"description": "What is wrong and what to do next, on one line."},
    },
    "Caution": {
        "code": {"description": "For programs."},
        "message": {"description": "For people, on one line."},
    },
}


def prediction_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one output: a `Prediction`, or a `Failure`.

    Examples:
        >>> prediction_schema()["$id"]
        'urn:emocatcher:prediction:1'
    """
    outputs, definitions = msgspec.json.schema_components(_TYPES, ref_template="#/$defs/{name}")
    for name, definition in definitions.items():
        # Every field is always written, so that none has a default, and nothing else is.
        properties = definition["properties"]
        definition["required"] = list(properties)
        definition["additionalProperties"] = False
        definition["description"] = definition["description"].partition("\n")[0]
        for field, rule in properties.items():
            rule.pop("default", None)
            rule.update(_FIELDS[name][field])
    return {
        "$schema": _DIALECT,
        "$id": f"urn:emocatcher:prediction:{SCHEMA_VERSION}",
        "title": "emocatcher: what is said of one recording",
        "oneOf": list(outputs),
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def prediction_schema_text() -> str:
    """`prediction_schema` as it is published: indented JSON, with a line break at its end."""
    return json.dumps(prediction_schema(), indent=2) + "\n"
