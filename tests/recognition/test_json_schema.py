"""The published schema matches the types, stays published, and validates the output."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.recognition import json_schema, prediction
from emocatcher.recognition.prediction import CODES, SCHEMA_VERSION, Caution, Failure, Prediction
from emocatcher.recognition.recognizer import load

jsonschema = pytest.importorskip("jsonschema", reason="needs the extra 'dev'")

PUBLISHED = Path(json_schema.__file__).parent / "json_schemas"
PREDICTION = Prediction(
    path="a.wav", emotion="sad", probability=0.75, probabilities={"sad": 0.75, "glad": 0.25}, margin=0.5, entropy=0.56,
    abstain=False, voiced_start_s=0.0, voiced_end_s=1.5, duration_s=2.0, attention=((0.0, 0.4), (0.1, 0.6)), model="m",
    model_version="0.1.0", warnings=tuple(Caution(code, "why") for code in CODES),
)  # fmt: skip
SILENCE = Prediction(path="c.wav", abstain=True, duration_s=2.0, model="m", model_version="0.1.0")
FAILURE = Failure(path="b.wav", error="DecodeError", message="is not audio")


@pytest.fixture(scope="module")
def check() -> Callable[[Any], None]:
    validator = jsonschema.Draft202012Validator(json_schema.prediction_schema())
    validate: Callable[[Any], None] = validator.validate
    return validate


def as_json(output: Prediction | Failure) -> Any:
    return json.loads(msgspec.json.encode(output))


def test_the_published_file_matches_the_types() -> None:
    published = PUBLISHED / f"prediction-{SCHEMA_VERSION}.json"
    assert published.read_text(encoding="utf-8") == json_schema.prediction_schema_text(), (
        "the types of a prediction changed: raise SCHEMA_VERSION in `prediction.py`, and publish the new schema with "
        f"`emocatcher info --schema > src/emocatcher/recognition/json_schemas/prediction-{SCHEMA_VERSION + 1}.json`"
    )


def test_every_version_stays_published() -> None:
    versions = sorted(int(path.stem.rpartition("-")[2]) for path in PUBLISHED.glob("prediction-*.json"))
    assert versions == list(range(1, SCHEMA_VERSION + 1))
    for version in versions:
        document = json.loads((PUBLISHED / f"prediction-{version}.json").read_text(encoding="utf-8"))
        assert document["$id"] == f"urn:emocatcher:prediction:{version}"


def test_the_schema_is_valid_and_describes_every_field() -> None:
    document = json_schema.prediction_schema()
    jsonschema.Draft202012Validator.check_schema(document)
    for name, definition in document["$defs"].items():
        struct = getattr(prediction, name)
        assert list(definition["properties"]) == definition["required"] == list(struct.__struct_fields__)
        assert all(rule["description"] for rule in definition["properties"].values())
    assert set(document["$defs"]["Caution"]["properties"]["code"]["enum"]) == set(CODES)


@pytest.mark.parametrize("output", [PREDICTION, FAILURE, msgspec.structs.replace(PREDICTION, warnings=()), SILENCE])
def test_outputs_conform_to_the_schema(check: Callable[[Any], None], output: Prediction | Failure) -> None:
    check(as_json(output))


@pytest.mark.parametrize(
    "change",
    [{"probability": 1.5}, {"probability": "0.5"}, {"schema_version": 1}, {"attention": [[0.0]]}, {"extra": 1},
     {"warnings": [{"code": "odd", "message": ""}]}, {"shares": {"sad": 1.5}}, {"error": "DecodeError"}],
)  # fmt: skip
def test_changed_outputs_do_not_conform(check: Callable[[Any], None], change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(as_json(PREDICTION) | change)


@pytest.mark.parametrize("output", [PREDICTION, FAILURE])
def test_outputs_without_a_field_do_not_conform(check: Callable[[Any], None], output: Prediction | Failure) -> None:
    whole = as_json(output)
    for field in whole:
        part = copy.copy(whole)
        del part[field]
        with pytest.raises(jsonschema.ValidationError):
            check(part)


def test_real_predictions_conform_to_the_schema(check: Callable[[Any], None], small_run: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    clips = [utterance.path for utterance in small_run.corpus.utterances[::40]]
    odd = [(np.zeros(100, np.float32), 8_000), (np.ones(16_000, np.int16) * 32_767, 16_000)]
    for source in [*clips, *odd]:
        prediction_ = as_json(recognizer.predict(source))
        check(prediction_)
        assert sum(prediction_["probabilities"].values()) == pytest.approx(
            0.0 if prediction_["emotion"] is None else 1.0
        )
    (failure,) = recognizer.predict_many([clips[0].with_name("missing.wav")])
    assert isinstance(failure, Failure)
    check(as_json(failure))
