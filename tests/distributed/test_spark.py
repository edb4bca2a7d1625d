"""`RecogniseBatch` in Spark, and the contract of its function without Spark."""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import emocatcher
from emocatcher.distributed import RecogniseBatch
from emocatcher.foundation.errors import SettingError

MODEL = "cabg"


@pytest.fixture(scope="module")
def clips(voices_dir: Path) -> list[str]:
    return [str(path) for path in sorted(voices_dir.rglob("*.wav"))[:6]]


def test_the_function_maps_an_iterator_lazily(clips):
    frames = [pd.DataFrame({"uri": clips[:2], "id": [4, 5], "other": "x"}), pd.DataFrame({"uri": [], "id": []})]
    frames.append(pd.DataFrame({"uri": ["missing.wav", None], "id": [6, 7]}))
    taken = itertools.count()
    function = pickle.loads(pickle.dumps(RecogniseBatch.for_spark(MODEL, column="uri", keep=["id"])))
    results = function(frame for frame in frames if next(taken) >= 0)
    first = next(results)
    assert next(taken) == 1  # one batch was asked for
    result = pd.concat([first, *results])
    assert result["id"].tolist() == [4, 5, 6, 7]
    assert result["path"].tolist() == [*clips[:2], "missing.wav", ""]
    assert result["error"].isna().tolist() == [True, True, False, False]
    assert {"uri", "other"}.isdisjoint(result)
    assert result["emotion"][0].tolist()[0] == emocatcher.load(MODEL).predict(clips[0]).emotion


def test_the_function_maps_arrow_batches_too(clips):
    function = RecogniseBatch.for_spark(MODEL, column="uri", keep=["uri"])
    (result,) = function(iter([pa.record_batch({"n": [1], "uri": clips[:1]})]))
    assert result.schema.names[:4] == ["uri", "path", "channel", "emotion"]
    assert "n" not in result.schema.names
    assert result.column("path").to_pylist() == clips[:1]


def test_the_function_names_a_column_that_is_missing(clips):
    function = RecogniseBatch.for_spark(MODEL, column="uri", keep=["call"])
    with pytest.raises(SettingError, match=r"Unknown column 'call'\. Did you mean 'calls'"):
        next(function(iter([pd.DataFrame({"uri": clips[:1], "calls": [1]})])))


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session in this machine, on the loopback address, without a page."""
    if find_spec("pyspark") is None:
        pytest.skip("needs pyspark: pip install pyspark, and Java 17 or later")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("needs Java 17 or later, which Spark runs on")
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(emocatcher.__file__).parents[1]), *sys.path]))
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.local.dir": str(folder / "local"),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.default.parallelism": "2",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "4",
        }
        builder = SparkSession.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of pyspark itself
def test_spark_recognises_a_table(spark, clips, tmp_path):
    (broken := tmp_path / "broken.wav").write_bytes(b"RIFF" + bytes(60))
    uris = [*clips, str(broken), str(tmp_path / "missing.wav"), None]
    rows = [(n, uri, b"unused") for n, uri in enumerate(uris)]
    table = spark.createDataFrame(rows, "call_id long, uri string, note binary")
    found = table.mapInPandas(
        RecogniseBatch.for_spark(MODEL, column="uri", keep=["call_id"]),
        schema=RecogniseBatch.spark_schema(MODEL, keep=table.select("call_id").schema),
    )
    result = found.toPandas().sort_values("call_id", ignore_index=True)
    assert result["call_id"].tolist() == list(range(len(uris)))
    assert result["error"].tolist()[6:] == ["DecodeError", "DecodeError", "EmptyCell"]
    assert result["error"].isna().tolist()[:6] == [True] * 6
    recognizer = emocatcher.load(MODEL)
    for n, clip in enumerate(clips):
        answer = recognizer.predict(clip)
        assert result["emotion"][n] == answer.emotion
        assert result["probability"][n] == answer.probability


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_spark_recognises_structs_with_bytes_in_pandas_and_in_arrow(spark, clips):
    rows = [(n, {"bytes": Path(clip).read_bytes(), "path": f"{n}.wav"}) for n, clip in enumerate(clips[:3])]
    table = spark.createDataFrame(rows, "id long, audio struct<bytes: binary, path: string>")
    options = {"column": "audio", "keep": ["id"]}
    schema = RecogniseBatch.spark_schema(MODEL, keep=table.select("id").schema)
    one = table.mapInPandas(RecogniseBatch.for_spark(MODEL, **options), schema=schema).collect()
    other = table.mapInArrow(RecogniseBatch.for_spark(MODEL, **options), schema=schema).collect()
    assert sorted(row["path"] for row in one) == ["0.wav", "1.wav", "2.wav"]
    assert sorted(one) == sorted(other)
    expected = [emocatcher.load(MODEL).predict(clip).probability for clip in clips[:3]]
    np.testing.assert_allclose([row["probability"] for row in sorted(one)], expected, atol=1e-6)
