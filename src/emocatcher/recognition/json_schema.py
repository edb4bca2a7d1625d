"""The published JSON Schema of predictions, generated from the types.

`recognition/json_schemas/` keeps every version as a file. A changed type needs a new SCHEMA_VERSION and a new file:
`emocatcher info --schema > src/emocatcher/recognition/json_schemas/prediction-VERSION.json`. A warning code that is not
written any more is only removed from the newest file: what is written conforms to the list with it, too.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from emocatcher.recognition.prediction import SCHEMA_VERSION, Failure, Prediction

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PROBABILITY = {"minimum": 0, "maximum": 1}
_SECONDS = {"minimum": 0}
_TYPES = (Prediction, Failure)

# Every field's meaning, unit and range, which the types do not contain.
_FIELDS: dict[str, dict[str, dict[str, Any]]] = {
    "Prediction": {
        "schema_version": {"description": "Version of this schema.", "const": SCHEMA_VERSION},
        "path": {"description": "The recording as given; empty for bytes and arrays."},
        "channel": {
            "description": "The channel that was recognised alone, from 1; null for all channels together.",
            "minimum": 1,
        },
        "emotion": {
            "description": "The most probable label, or that of the largest share. Every field that may be null is "
            "null without speech."
        },
        "probability": {"description": "Calibrated probability of that emotion.", **_PROBABILITY},
        "probabilities": {
            "description": "Calibrated probabilities by label, in the model's order; they sum to 1. Empty without "
            "speech, and the mean over the windows with speech if there are shares.",
            "additionalProperties": {"type": "number", **_PROBABILITY},
        },
        "margin": {
            "description": "The highest probability, or share if there are any, minus the second highest.",
            **_PROBABILITY,
        },
        "entropy": {
            "description": "Entropy of the probabilities in nats, from 0 (certain) to ln(number of labels).",
            "minimum": 0,
        },
        "abstain": {
            "description": "The probability is below the threshold, or there is no speech: treat it as no answer."
        },
        "shares": {
            "description": "Of a recording of more than 10 s, which is judged window by window: the share of its "
            "speech by label; they sum to 1. Empty for shorter recordings.",
            "additionalProperties": {"type": "number", **_PROBABILITY},
        },
        "dimensions": {
            "description": "Dimensions of emotion, such as arousal, by name, of a model that estimates some; means "
            "over the windows with speech if there are shares. Empty for other models, and without speech."
        },
        "voiced_start_s": {"description": "Start of the voiced span, seconds.", **_SECONDS},
        "voiced_end_s": {"description": "End of the voiced span, seconds.", **_SECONDS},
        "duration_s": {"description": "Duration of the recording, seconds.", **_SECONDS},
        "attention": {
            "description": "(time in seconds, weight) in order of time; the weights sum to 1. Empty without speech, "
            "and if there are shares."
        },
        "model": {"description": "Name of the model."},
        "model_version": {"description": "Version of emocatcher that wrote the model."},
        "settled_on": {
            "description": "How many recordings the model settled on before, without labels; 0 for none.",
            "minimum": 0,
        },
        "warnings": {"description": "Reasons to trust the prediction less, most serious first."},
    },
    "Failure": {
        "schema_version": {"description": "Version of this schema.", "const": SCHEMA_VERSION},
        "path": {"description": "The recording as given."},
        "error": {"description": "Class name of the error, e.g. DecodeError."},
        "message": {"description": "What is wrong and what to do next, on one line."},
    },
    "Rating": {
        "value": {"description": "Within the range."},
        "low": {"description": "The lowest rating of the scale."},
        "high": {"description": "The highest rating of the scale."},
    },
    "Caution": {
        "code": {"description": "For programs."},
        "message": {"description": "For people, on one line."},
    },
}


def prediction_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one output: a `Prediction` or a `Failure`.

    Examples:
        >>> prediction_schema()["$id"]
        'urn:emocatcher:prediction:2'
    """
    outputs, definitions = msgspec.json.schema_components(_TYPES, ref_template="#/$defs/{name}")
    for name, definition in definitions.items():
        # Every field is always written, and no other, so none has a default.
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
        "title": "emocatcher: the result of recognising one recording",
        "oneOf": list(outputs),
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def prediction_schema_text() -> str:
    """Return `prediction_schema` in its published form: indented JSON with a final line break."""
    return json.dumps(prediction_schema(), indent=2) + "\n"
