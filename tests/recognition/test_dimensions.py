"""A model that estimates dimensions: predictions, cards, tables and graphs have them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import emocatcher
from emocatcher import audio
from emocatcher.cli import card
from emocatcher.models.onnx_graphs import as_onnx
from emocatcher.recognition import batch, json_schema
from emocatcher.recognition.prediction import Prediction, Rating
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import window_tables


@pytest.fixture(scope="module")
def recognizer(rated_run: Any) -> Recognizer:
    return emocatcher.load(rated_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def paths(rated_run: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A voice, and silence."""
    import soundfile

    silent = tmp_path_factory.mktemp("silent") / "silent.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    return [str(rated_run.corpus.utterances[0].path), str(silent)]


def test_a_prediction_has_each_dimension_in_its_range_and_its_json_conforms(
    recognizer: Recognizer, paths: list[str], rated_run: Any
) -> None:
    voice, silence = map(recognizer.predict, paths)
    assert silence.dimensions == {}
    rating = voice.dimensions["arousal"]
    assert (rating.low, rating.high) == (1.0, 7.0)
    assert rating.low <= rating.value <= rating.high
    for one in (voice, silence):
        encoded = msgspec.json.encode(one)
        jsonschema.validate(json.loads(encoded), json_schema.prediction_schema())
        assert msgspec.json.decode(encoded, type=Prediction) == one
    with (rated_run.folder / "predictions.csv").open(newline="") as file:
        rows = {row["utterance"]: row for row in csv.DictReader(file)}
    row = rows[rated_run.corpus.utterances[0].id]
    model = emocatcher.load(rated_run.folder / f"fold_{row['fold']}" / "last")
    assert model.predict(paths[0]).dimensions["arousal"].value == pytest.approx(
        float(row["estimated_arousal"]), abs=2e-3
    )


def test_a_value_that_rounding_moves_beyond_the_range_is_limited_to_it() -> None:
    from emocatcher.foundation.dimensions import Dimension
    from emocatcher.recognition.prediction import rate

    found = rate([Dimension("arousal", 0.1, 0.7)], [0.70001])
    assert found == {"arousal": Rating(0.7, 0.1, 0.7)}


def test_a_long_recording_has_the_mean_over_its_windows_with_speech(
    recognizer: Recognizer, paths: list[str], tmp_path: Path
) -> None:
    import soundfile

    voice, rate = soundfile.read(paths[0])
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(np.concatenate([voice, np.zeros(rate)]), 7), rate)
    timelines: list[Any] = []
    found = recognizer.predict(str(long), on_timeline=timelines.append)
    assert found.shares
    assert found.dimensions == timelines[0].dimensions
    windows = timelines[0].windows
    assert windows.ratings[windows.speech].mean() == pytest.approx(found.dimensions["arousal"].value)
    start = next(window.start_s for window in windows if window.speech)
    samples = np.asarray(soundfile.read(long)[0][round(start * rate) : round((start + 3.0) * rate)], np.float32)
    alone = recognizer.predict((samples, rate)).dimensions["arousal"].value
    assert windows.ratings[windows.speech][0, 0] == pytest.approx(alone, abs=0.3)
    encoded = json.loads(window_tables.to_json(timelines[0]))
    assert encoded["dimensions"]["arousal"]["value"] == pytest.approx(found.dimensions["arousal"].value)


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_table_has_a_column_for_each_dimension_and_is_resumed(
    recognizer: Recognizer, paths: list[str], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"mine.{kind}"
    for n, resume in ((1, False), (2, True)):
        batch.run(recognizer, paths[:n], kind=kind, out=out, stream=io.BytesIO(), workers=1, resume=resume)
    expected = recognizer.predict(paths[0]).dimensions["arousal"].value
    if kind == "jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [row["dimensions"].get("arousal", {}).get("value") for row in rows] == [expected, None]
        return
    if kind == "csv":
        with out.open(newline="") as file:
            values = [float(row["arousal"]) if row["arousal"] else None for row in csv.DictReader(file)]
    else:
        values = pq.read_table(out).column("arousal").to_pylist()
    assert values == [pytest.approx(expected, abs=1e-6), None]


def test_the_card_shows_the_value_and_its_place_in_the_range(recognizer: Recognizer, paths: list[str]) -> None:
    printed = []
    for prediction in map(recognizer.predict, paths):
        target = Console(file=io.StringIO(), width=100)
        card.show(prediction, target)
        printed.append(target.file.getvalue())
    (line,) = [line for line in printed[0].splitlines() if line.startswith("  arousal")]
    value = recognizer.predict(paths[0]).dimensions["arousal"].value
    assert line.split()[1] == f"{value:.2f}"
    assert line.split()[2:] == ["1", line.split()[3], "7"]
    assert line.split()[3].index("●") == round((value - 1) / 6 * 29)
    assert "arousal" not in printed[1]


def test_the_graph_from_waveform_gives_the_same(
    recognizer: Recognizer, paths: list[str], opened: Any, rated_run: Any
) -> None:
    from emocatcher.models import model_folder

    graph = as_onnx(model_folder.read(rated_run.folder / "fold_0" / "last"), waveform=True)
    waveform = audio.read(paths[0], recognizer.config.settings.front_end.sample_rate).waveform
    *_, dimensions = opened(graph)(waveform=waveform)
    assert dimensions.shape == (1,)
    expected = recognizer.predict(paths[0]).dimensions["arousal"].value
    assert float(dimensions[0]) == pytest.approx(expected, abs=2e-3)
