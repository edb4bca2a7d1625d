"""One row out for each row in, whatever the kind of the batch and the content of its cells."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile

import emocatcher
from emocatcher.distributed import RecogniseBatch
from emocatcher.foundation import uris
from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.recognition.prediction import Prediction

MODEL = "cabg"  # small, so that it loads in a moment


@pytest.fixture(scope="module")
def clips(voices_dir: Path) -> list[str]:
    return [str(path) for path in sorted(voices_dir.rglob("*.wav"))[:3]]


@pytest.fixture(scope="module")
def recognise():
    with RecogniseBatch(MODEL, column="clip", id_column="id") as made:
        yield made


@pytest.fixture(scope="module")
def table(clips, tmp_path_factory) -> dict[str, list]:
    """Good rows, and each way in which a cell can be wrong."""
    folder = tmp_path_factory.mktemp("wrong")
    (text := folder / "text.wav").write_text("this is no sound")
    soundfile.write(silent := folder / "silent.flac", np.zeros(16_000), 16_000)
    cells = [clips[0], None, "", "missing.wav", str(text), clips[1], str(silent), clips[2]]
    return {"id": list(range(len(cells))), "clip": cells, "note": [f"n{i}" for i in range(len(cells))]}


ERRORS = ["", "EmptyCell", "EmptyCell", "DecodeError", "DecodeError", "", "", ""]
KINDS = ["", "cell", "cell", "audio", "audio", "", "", ""]


def given(kind: str, table: dict[str, list]):
    if kind == "pandas":
        return pd.DataFrame(table, index=range(100, 100 + len(table["id"])))
    if kind == "numpy":
        return {name: np.array(cells, object if name == "clip" else None) for name, cells in table.items()}
    of_kind = pa.table if kind == "table" else pa.record_batch
    return of_kind(table, pa.schema({"id": pa.int64(), "clip": pa.string(), "note": pa.string()}))


def listed(result) -> dict[str, list]:
    """The columns as lists, with None for a missing value."""
    if isinstance(result, pd.DataFrame):
        return {name: [None if pd.isna(v) else v for v in result[name]] for name in result}
    if isinstance(result, dict):
        missing = {"U": "", "f": np.nan}
        return {
            name: [None if v == missing.get(a.dtype.kind) or v != v else v for v in a.tolist()]
            for name, a in result.items()
        }
    return result.to_pydict()


@pytest.mark.parametrize("kind", ["pandas", "table", "record batch", "numpy"])
def test_the_result_is_of_the_same_kind_with_a_row_for_each_row(recognise, table, kind):
    batch = given(kind, table)
    result = recognise(batch)
    assert type(result) is type(batch)
    columns = listed(result)
    assert list(columns)[:3] == ["id", "clip", "note"]
    assert columns["id"] == table["id"]
    assert columns["note"] == table["note"]
    assert [error or "" for error in columns["error"]] == ERRORS
    assert [kind or "" for kind in columns["error_kind"]] == KINDS
    assert [bool(message) for message in columns["message"]] == [bool(error) for error in ERRORS]
    assert columns["emotion"][6] is None  # no speech
    assert columns["warnings"][6] == "no-speech"
    if kind == "pandas":
        assert result.index.equals(batch.index)


def test_answers_equal_those_of_predict(recognise, table, clips):
    columns = listed(recognise(given("table", table)))
    recognizer = emocatcher.load(MODEL)
    for row, clip in ((0, clips[0]), (5, clips[1]), (7, clips[2])):
        answer = recognizer.predict(clip)
        assert columns["path"][row] == clip
        assert columns["emotion"][row] == answer.emotion
        for field in ("probability", "margin", "entropy", "abstain", "voiced_start_s", "voiced_end_s", "duration_s"):
            assert columns[field][row] == getattr(answer, field)
        assert {label: columns[f"probability_{label}"][row] for label in answer.probabilities} == answer.probabilities


def test_a_long_recording_has_the_answer_and_the_shares_of_predict(recognise, clips, tmp_path):
    samples = [soundfile.read(clip)[0] for clip in clips]
    rate = soundfile.info(clips[0]).samplerate
    soundfile.write(long := tmp_path / "long.wav", np.concatenate(samples * 2), rate)
    (row,) = recognise(pa.table({"id": [0], "clip": [str(long)]})).to_pylist()
    answer = emocatcher.load(MODEL).predict(long)
    assert {label: row[f"share_{label}"] for label in answer.shares} == answer.shares != {}
    assert (row["emotion"], row["probability"]) == (answer.emotion, answer.probability)


def test_every_row_states_the_model(recognise, table):
    columns = listed(recognise(given("table", table)))
    recognizer = emocatcher.load(MODEL)
    assert set(columns["model"]) == {MODEL}
    assert set(columns["model_version"]) == {recognizer.config.version}
    (model_hash,) = set(columns["model_hash"])
    assert len(model_hash) == 64


@pytest.mark.parametrize("kind", ["pandas", "table", "record batch", "numpy"])
def test_the_schema_does_not_depend_on_the_rows(recognise, table, kind):
    def schema(rows: slice):
        result = recognise(given(kind, {name: cells[rows] for name, cells in table.items()}))
        if kind == "pandas":
            return pa.Schema.from_pandas(result.drop(columns=[*table]), preserve_index=False).remove_metadata()
        if kind == "numpy":
            added = [name for name in result if name not in table]
            return {name: pa.array(result[name]).type for name in added}
        return result.schema

    parts = [schema(rows) for rows in (slice(0, 1), slice(1, 5), slice(6, 7), slice(0, 0), slice(None))]
    assert all(part == parts[0] for part in parts[1:])


def test_bytes_structs_and_samples_are_recordings_and_are_not_copied_into_the_result(recognise, clips):
    content = Path(clips[0]).read_bytes()
    samples, rate = soundfile.read(clips[0], dtype="float32")
    structs = [{"bytes": content, "path": "a.wav"}, {"bytes": None, "path": clips[0]}, {"bytes": None, "path": None}]
    ids = np.arange(3)
    table = pa.table({"id": ids, "clip": structs})
    from_structs = recognise(table)
    from_bytes = recognise({"id": ids, "clip": np.array([content, None, bytearray(content)], object)})
    from_frame = recognise(pd.DataFrame({"id": ids, "clip": [*structs[:2], {"array": samples, "sampling_rate": rate}]}))
    columns = from_structs.to_pydict()
    assert columns["path"] == ["a.wav", clips[0], ""]
    assert columns["error"] == [None, None, "EmptyCell"]
    expected = emocatcher.load(MODEL).predict(clips[0]).probability
    found = [*columns["probability"][:2], *from_bytes["probability"][[0, 2]], *from_frame["probability"]]
    assert found[:-1] == [expected] * 6
    assert found[-1] == pytest.approx(expected, abs=1e-6)
    assert columns["clip"] == [{"bytes": None, "path": struct["path"]} for struct in structs]
    assert from_structs.schema.field("clip") == table.schema.field("clip")
    assert from_bytes["clip"].tolist() == [None, None, None]
    assert from_frame["clip"].tolist()[2] == {"array": None, "sampling_rate": rate}


def test_the_result_has_no_secret_of_a_uri(recognise, clips):
    uri, shown = "memory://calls/a.wav?token=SECRET", "memory://calls/a.wav?…"
    uris.write("memory://calls/b.wav", Path(clips[0]))
    table = pa.table({"id": [1, 2], "clip": [uri, "memory://calls/b.wav"]})
    row, there = recognise(table).to_pylist()
    struct = recognise(pd.DataFrame({"id": [1], "clip": [{"bytes": None, "path": uri}]}))
    assert row["clip"] == row["path"] == struct["path"][0] == struct["clip"][0]["path"] == shown
    assert (row["error"], there["error"], there["path"]) == ("DecodeError", None, "memory://calls/b.wav")
    assert "SECRET" not in f"{row}{struct.to_dict()}"


def test_the_id_and_audio_to_keep_stay_as_they_are_and_a_prefix_makes_room(clips):
    uri, content = "memory://calls/a.wav?token=1", Path(clips[0]).read_bytes()
    with RecogniseBatch(MODEL, column="path", id_column="path", keep_audio=True, prefix="found_") as recognise:
        columns = recognise(pd.DataFrame({"path": [uri, content], "emotion": ["happy", "sad"]}))
    assert columns["path"].tolist() == [uri, content]
    assert columns["emotion"].tolist() == ["happy", "sad"]
    assert columns["found_path"].tolist() == ["memory://calls/a.wav?…", ""]
    assert columns["found_emotion"][1] in emocatcher.load(MODEL).config.labels


def test_a_column_path_of_the_table_stays(recognise, clips):
    table = pa.table({"id": [1], "clip": [clips[0]], "path": ["my own name"]})
    assert recognise(table).to_pydict()["path"] == ["my own name"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["id", "clip", "emotion"], "adds columns that the table has already: emotion. Rename them, or give a prefix"),
        (["id", "clip", "emotion", "error"], "already: emotion, error. Rename"),
        (["id", "clips"], "Unknown column 'clip'. Did you mean 'clips'"),
        (["clip"], "Unknown column 'id'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_anything_is_recognised(recognise, names, message):
    with pytest.raises(SettingError, match=message):
        recognise({name: np.array(["x.wav"]) for name in names})


def test_a_batch_of_another_kind_is_refused(recognise):
    with pytest.raises(SettingError, match=r"A list is not a batch\. Give a pandas DataFrame"):
        recognise([{"clip": "a.wav"}])
    with pytest.raises(SettingError, match=r"differ in length \(id: 2, clip: 1\)"):
        recognise({"id": np.arange(2), "clip": np.array(["a.wav"])})
    with pytest.raises(SettingError, match="loses zero bytes at the end"):
        recognise({"id": np.arange(1), "clip": np.array([b"RIFF\0"])})


def test_wrong_options_are_refused_at_once():
    with pytest.raises(ModelError, match="No model 'no-such-model'"):
        RecogniseBatch("no-such-model")
    with pytest.raises(SettingError, match='Give channels="mix"'):
        RecogniseBatch(channels="each")
    with pytest.raises(SettingError, match="The threshold for abstaining is 2"):
        RecogniseBatch(MODEL, abstain_below=2.0)
    with pytest.raises(SettingError, match="A limit is zero or less"):
        RecogniseBatch(MODEL, limit_s=0)


@pytest.mark.slow
def test_options_of_recognition_are_used(clips):
    with RecogniseBatch(MODEL, emotions=["Sad", "happy"], abstain_below=1.0, longest_s=1.0) as recognise:
        columns = recognise(pa.table({"path": clips[:1]})).to_pydict()
    assert [name for name in columns if name.startswith("probability_")] == ["probability_happy", "probability_sad"]
    assert columns["error"] == ["TooLongError"]


@pytest.mark.slow
def test_a_pickled_copy_loads_the_model_once_in_a_process(recognise, clips):
    payload = pickle.dumps(recognise)
    assert len(payload) < 1000
    one, other = pickle.loads(payload), pickle.loads(payload)
    assert one is other is not recognise
    table = {"id": np.arange(1), "clip": np.array(clips[:1])}
    assert one(table)["probability"] == recognise(table)["probability"]
    one.end()


@pytest.mark.slow
def test_a_script_needs_no_main_guard(clips, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from emocatcher.distributed import RecogniseBatch\n"
        f"print(RecogniseBatch({MODEL!r})({{'path': np.array([{clips[0]!r}])}})['emotion'][0])\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() in emocatcher.load(MODEL).config.labels


def test_every_field_of_a_prediction_has_a_column(recognise, table):
    names = set(listed(recognise(given("table", table))))
    missing = set(Prediction.__struct_fields__) - names
    assert missing == {"probabilities", "shares", "dimensions", "attention"}  # a column for each label, or too long
    assert names >= {"probability_happy", "share_happy"}
