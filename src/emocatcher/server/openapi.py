"""Document the API as OpenAPI: for each route its bodies, answers, problems and examples."""

from __future__ import annotations

from typing import Any

from emocatcher.recognition.prediction import Caution
from emocatcher.server.security import GUARDED

TITLE = "EmoCatcher"
DESCRIPTION = (
    "Speech emotion recognition: the emotion, its probability, and where in the recording the model attends. Answers "
    "equal those of the command line (`emocatcher predict --format json`); errors are problem details (RFC 9457) with "
    "the kind in `error`."
)
ABSTAIN = "The probability below which a prediction is marked `abstain`; by default the model's own threshold."
NAME = "The name of a raw body in the answer."
SETTLED = (
    "The name of a profile, from `POST /v1/settle`; by default what the server was started with, if anything; empty "
    "for nothing."
)
EMOTIONS = "Answer with these emotions only, separated by commas; the others are left out, and the rest sums to 1."
PROFILE = "The name of the profile."

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:emocatcher:problem:DecodeError"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, what is allowed, what to do next."},
        "error": {"type": "string", "description": "The kind, for programs.", "examples": ["DecodeError"]},
    },
}
_PROBLEMS = {
    400: "The body is malformed.",
    401: "A token is needed.",
    404: "The resource does not exist.",
    408: "The body arrived too slowly.",
    413: "The body or the recording is too large.",
    415: "The body's Content-Type is not supported.",
    422: "The recording or a parameter cannot be used.",
    429: "The server is busy; `Retry-After` gives the time until the next attempt.",
    500: "The recording crashed its worker process, or emocatcher has a fault.",
    503: "The server is starting or stopping, or cannot store uploads.",
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_SOUND = {"schema": {"type": "string", "format": "binary"}}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_ONE = {
    "type": "object",
    "required": ["audio_base64"],
    "additionalProperties": False,
    "properties": {"audio_base64": _BASE64, "name": {"type": "string"}},
}
_MANY = {
    "type": "object",
    "required": ["recordings"],
    "additionalProperties": False,
    "properties": {"recordings": {"type": "array", "minItems": 1, "items": _ONE}},
}
_GUESS = {
    "type": "object",
    "required": ["emotion"],
    "additionalProperties": False,
    "properties": {"emotion": {"type": "string"}},
}
_GUESS_EXAMPLE = {"emotion": "happy"}
_JSON_EXAMPLE = {"audio_base64": "UklGRiQAAABXQVZFZm10IBAAAAABAAEAgLsAAAB3AQACABAAZGF0YQAAAAA=", "name": "empty.wav"}
_PREDICTION_EXAMPLE = {
    "schema_version": 2,
    "path": "voice.wav",
    "channel": None,
    "emotion": "angry",
    "probability": 0.85,
    "probabilities": {"angry": 0.85, "happy": 0.1, "sad": 0.05},
    "margin": 0.75,
    "entropy": 0.52,
    "abstain": False,
    "shares": {},
    "dimensions": {},
    "voiced_start_s": 0.93,
    "voiced_end_s": 1.18,
    "duration_s": 4.1,
    "attention": [[0.93, 0.4], [1.05, 0.6]],
    "model": "cabg",
    "model_version": "0.1.0",
    "settled_on": 0,
    "warnings": [],
}


_SETTLED_EXAMPLE = {
    "settled": "bM6vQm0T1n2xq0c4wJrA0g",
    "expires_s": 86400.0,
    "failures": [],
    "profile": {
        "format": 1,
        "model": "emocatcher-3",
        "onnx_sha256": "…",
        "labels": ["neutral", "happy", "sad"],
        "n_recordings": 10,
        "shift": [0.42, -0.3, -0.12],
    },
}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    return {
        status: {"description": _PROBLEMS[status], "content": content} | ({"headers": _RETRY} if status == 429 else {})
        for status in sorted({401, 500, 503, *statuses})
    }


def _json(description: str, schema: dict[str, Any], example: object | None = None) -> dict[int | str, dict[str, Any]]:
    content = {"schema": schema} | ({} if example is None else {"example": example})
    return {200: {"description": description, "content": {"application/json": content}}}


def _file(description: str, media: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {media: _SOUND}}}


def _recordings(*, many: bool) -> dict[str, Any]:
    files = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
    field = files if many else {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["file"], "additionalProperties": False, "properties": {"file": field}}
    content = {
        "multipart/form-data": {"schema": form},
        "application/octet-stream": _SOUND,
        "audio/*": _SOUND,
        "application/json": {"schema": {"oneOf": [_ONE, _MANY]} if many else _ONE, "example": _JSON_EXAMPLE},
    }
    return {"requestBody": {"required": True, "content": content}}


def _route(tag: str, responses: dict[int | str, dict[str, Any]], extra: dict[str, Any] | None = None) -> dict[str, Any]:
    # Answers are already encoded bytes, so FastAPI need not validate them.
    return {"tags": [tag], "responses": responses, "openapi_extra": extra, "response_model": None}


_UPLOAD_STATUSES = (400, 408, 413, 415, 422, 429)
_RECOGNISE_STATUSES = (*_UPLOAD_STATUSES, 404)
_answers = {"type": "array", "items": {"oneOf": [_reference("Prediction"), _reference("Failure")]}}
PREDICT = _route(
    "Recognise",
    _json(
        "One recording: its prediction. Several: an array in their order, with the reason for each that failed.",
        {"oneOf": [_reference("Prediction"), _answers]},
        _PREDICTION_EXAMPLE,
    )
    | _problems(*_RECOGNISE_STATUSES),
    _recordings(many=True),
)
TIMELINE = _route(
    "Recognise",
    _json("Segments and windows over the whole recording.", _reference("Timeline")) | _problems(*_RECOGNISE_STATUSES),
    _recordings(many=False),
)
_SETTLED_PROPERTIES = {
    "settled": {
        "type": "string",
        "description": "The profile's name. Whoever knows it can use the profile.",
    },
    "expires_s": {"type": "number", "description": "Seconds without use, after which the profile is deleted."},
    "failures": {"type": "array", "items": _reference("Failure"), "description": "Recordings that cannot be used."},
    "profile": _reference("Settled"),
}
_settled = _json(
    "The profile's name, and the profile itself, which `emocatcher predict --settled FILE` reads.",
    {"type": "object", "required": [*_SETTLED_PROPERTIES], "properties": _SETTLED_PROPERTIES},
    _SETTLED_EXAMPLE,
)
SETTLE = _route("Settle", _settled | _problems(*_UPLOAD_STATUSES), _recordings(many=True))
_profile_body = {"application/json": {"schema": _reference("Settled"), "example": _SETTLED_EXAMPLE["profile"]}}
PROFILES = _route(
    "Settle",
    _settled | _problems(400, 408, 413, 422, 429),
    {"requestBody": {"required": True, "content": _profile_body}},
)
FORGET = _route("Settle", _problems(404, 422) | {204: {"description": "It is deleted."}})
MODEL = _route("Model", _json("The model.", _reference("ModelDescription")) | _problems())
WAVEFORM = _route("Model", _file("An ONNX graph.", "application/octet-stream") | _problems(404))
CLIPS = _route("Guess first", _json("The clips.", {"type": "object"}) | _problems(404, 422, 429))
CLIP_AUDIO = _route("Guess first", _file("16 bits, one channel.", "audio/wav") | _problems(404, 422, 429))
GUESS = _route(
    "Guess first",
    _json("The acted emotion, and the model's prediction.", {"type": "object"})
    | _problems(400, 404, 408, 413, 422, 429),
    {"requestBody": {"required": True, "content": {"application/json": {"schema": _GUESS, "example": _GUESS_EXAMPLE}}}},
)
NOT_READY: dict[int | str, dict[str, Any]] = {503: _problems()[503]}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas of the answers to FastAPI's document; FastAPI does not see them, because answers are bytes."""
    # Loads NumPy, which is needed only for the document.
    import msgspec

    from emocatcher.recognition.json_schema import prediction_schema
    from emocatcher.recognition.settling import Settled
    from emocatcher.recognition.timeline import Timeline
    from emocatcher.recognition.timeline.segments import Segment
    from emocatcher.recognition.timeline.windows import Window
    from emocatcher.server.model_description import ModelDescription

    place = "#/components/schemas/{name}"
    _, described = msgspec.json.schema_components((Segment, Window, ModelDescription, Settled), ref_template=place)
    _, timeline = msgspec.json.schema_components(
        (msgspec.defstruct("Timeline", _fields(Timeline, Segment, Window)),), ref_template=place
    )
    published = prediction_schema()["$defs"]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= described | timeline | _rewrite_references(published)
    schemas["Problem"] = _PROBLEM
    scheme = {"type": "http", "scheme": "bearer", "description": "Required if the server was started with --token."}
    document["components"]["securitySchemes"] = {"bearer": scheme}
    for path, operations in document["paths"].items():
        if path.startswith(GUARDED):
            for operation in operations.values():
                operation["security"] = [{"bearer": []}]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)  # this API returns problem details instead
    return document


def _fields(timeline: Any, segment: Any, window: Any) -> list[tuple[str, Any]]:
    lists = {"segments": list[segment], "windows": list[window], "warnings": list[Caution]}
    types = {"schema_version": int, "labels": list[str], "path": str, "model": str, "model_version": str}
    return [(name, lists.get(name, types.get(name, float))) for name in timeline.__struct_fields__]


def _rewrite_references(definitions: Any) -> Any:
    """Rewrite the published schemas' references to each other as references within an API's document."""
    if isinstance(definitions, dict):
        return {name: _rewrite_references(value) for name, value in definitions.items()}
    if isinstance(definitions, list):
        return [_rewrite_references(value) for value in definitions]
    if isinstance(definitions, str) and definitions.startswith("#/$defs/"):
        return definitions.replace("#/$defs/", "#/components/schemas/")
    return definitions
