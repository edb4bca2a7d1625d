"""Read folders of Hugging Face `datasets`: Arrow as `save_to_disk` writes it, Parquet, and hostile copies of them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from emocatcher import audio, corpora
from emocatcher.corpora.exchange import arrow_file
from emocatcher.foundation.errors import CorpusError

from .clips import put, sound

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def metadata(**classes):
    features = {column: {"names": names, "_type": "ClassLabel"} for column, names in classes.items()}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def table(rows, classes=None, **columns):
    names = ["audio", "label", *columns]
    kinds = {"audio": AUDIO, "label": pa.int64(), **columns}
    found = [{name: row.get(name) for name in names} for row in rows]
    schema = pa.schema(list(kinds.items()), metadata=metadata(**(classes or {"label": ["anger", "sad"]})))
    return pa.Table.from_pylist(found, schema=schema)


def rows(n=4, **more):
    return [{"audio": {"bytes": sound(0.1 * (i + 1)), "path": f"{i}.wav"}, "label": i % 2, **more} for i in range(n)]


def save(folder, *shards, name="data", licence=None):
    """Write the layout of `save_to_disk`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [f"{name}-{i:05d}-of-{len(shards):05d}.arrow" for i in range(len(shards))]
    for file, shard in zip(files, shards, strict=True):
        with pa.ipc.new_stream(folder / file, shard.schema) as writer:
            writer.write_table(shard, max_chunksize=3)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": file} for file in files]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}, "license": licence}))
    return folder


def test_classes_become_their_names_and_shards_follow_each_other(tmp_path):
    shards = [table(rows(), speaker_id=pa.string()), table(rows(2, speaker_id="7"), speaker_id=pa.string())]
    folder = save(tmp_path / "mine", *shards, licence="CC0")
    assert "Unpacking" in corpora.first_use(str(folder))
    corpus = corpora.load(str(folder))
    assert [one.emotion for one in corpus] == ["angry", "sad"] * 3
    assert (corpus.name, corpus.licence, corpus.labels) == ("mine", "CC0", ("sad", "angry"))
    assert [one.speaker for one in corpus] == [None] * 4 + ["7"] * 2
    levels = [float(audio.load(one.path)[0].max()) for one in corpus]
    assert levels == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.1, 0.2], rel=0.02)


def test_the_splits_of_a_dataset_dict_become_splits(tmp_path):
    for name in ("train", "validation", "test"):
        save(tmp_path / "mine" / name, table(rows(2)))
    (tmp_path / "mine" / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    corpus = corpora.load(str(tmp_path / "mine"))
    assert [one.split for one in corpus] == ["train"] * 2 + ["valid"] * 2 + ["test"] * 2


def test_the_splits_of_parquet_files_are_those_of_their_names(tmp_path):
    for name in ("train", "test"):
        (tmp_path / "data").mkdir(exist_ok=True)
        parquet.write_table(table(rows(2)), tmp_path / "data" / f"{name}-00000-of-00001.parquet")
    corpus = corpora.load(str(tmp_path))
    assert [(one.split, one.emotion) for one in corpus] == [
        ("test", "angry"), ("test", "sad"), ("train", "angry"), ("train", "sad"),
    ]  # fmt: skip


def test_a_dataset_without_splits_is_not_all_training(tmp_path):
    (tmp_path / "data").mkdir()
    parquet.write_table(table(rows(2)), tmp_path / "data" / "train-00000-of-00001.parquet")
    assert {one.split for one in corpora.load(str(tmp_path))} == {None}


def test_a_label_that_is_not_known_makes_a_recording_without_a_label(tmp_path):
    found = rows(3)
    found[0]["label"], found[1]["label"] = -1, None
    corpus = corpora.load(str(save(tmp_path / "mine", table(found))))
    assert [one.id for one in corpus.unlabelled] == ["row 0", "row 1"]
    assert [one.emotion for one in corpus] == ["angry"]


def test_ratings_votes_and_facts_of_speakers_are_read(tmp_path):
    more = {"arousal[1:5]": 3.0, "votes": "anger=3,sad=1", "age": 30, "sex": "F"}
    columns = {"arousal[1:5]": pa.float64(), "votes": pa.string(), "age": pa.int64(), "sex": pa.string()}
    found = rows(2, **more)
    found[1]["arousal[1:5]"] = 4.0
    corpus = corpora.load(str(save(tmp_path / "mine", table(found, **columns))))
    first = corpus.utterances[0]
    assert first.votes == (("angry", 0.75), ("sad", 0.25))
    assert (first.dimensions, first.age, first.gender) == ((("arousal", 3.0),), 30, "female")
    assert corpus.dimensions[0].high == 5


def test_a_recording_beside_the_table_is_read_from_the_folder(tmp_path):
    put(tmp_path / "mine" / "clips" / "0.wav", 0.5)
    found = [{"audio": {"bytes": None, "path": "clips/0.wav"}, "label": 0}]
    found += [{"audio": {"bytes": None, "path": "clips/gone.wav"}, "label": 1}]
    corpus = corpora.load(str(save(tmp_path / "mine", table(found))))
    assert [one.path for one in corpus] == [tmp_path / "mine" / "clips" / "0.wav"]
    assert corpus.notes[0].startswith("1 row has no sound")


@pytest.mark.parametrize("name", ["../outside.wav", "/etc/hostname", "~/outside.wav", "..\\outside.wav", "a/../../x"])
def test_a_row_cannot_name_a_file_outside_the_folder(tmp_path, name):
    put(tmp_path / "outside.wav")
    folder = save(tmp_path / "mine", table([{"audio": {"bytes": None, "path": name}, "label": 0}]))
    with pytest.raises(CorpusError, match="Only files of the folder are read"):
        corpora.load(str(folder))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("state.json", "{", "does not describe a dataset"),
        ("state.json", '{"_data_files": "x"}', "does not describe a dataset"),
        ("state.json", '{"_data_files": [{"filename": "../other.arrow"}]}', "Only files of the folder"),
        ("state.json", '{"_data_files": [{"filename": "gone.arrow"}]}', "names gone.arrow, which is missing"),
        ("dataset_info.json", "[]", "does not describe a dataset"),
        ("dataset_dict.json", '{"splits": [".."]}', "is no folder of"),
        ("dataset_dict.json", '{"splits": 3}', "does not describe a dataset"),
    ],
)
def test_a_hostile_description_is_refused(tmp_path, file, content, message):
    save(tmp_path, table(rows(1)), name="other")
    folder = save(tmp_path / "mine", table(rows(1)))
    (folder / file).write_text(content)
    with pytest.raises(CorpusError, match=message):
        corpora.load(str(folder))


def test_a_class_without_a_name_is_refused_with_its_row(tmp_path):
    found = rows(2)
    found[1]["label"] = 2
    with pytest.raises(CorpusError, match=r"row 2: label is 2, and there are 2 classes \(anger, sad\)"):
        corpora.load(str(save(tmp_path / "mine", table(found))))
    broken = table(rows(1)).replace_schema_metadata(metadata(label="anger"))
    with pytest.raises(CorpusError, match="no list of names"):
        corpora.load(str(save(tmp_path / "other", broken)))


def test_lists_where_text_is_needed_are_refused(tmp_path):
    found = table([{**row, "speaker": ["1", "2"]} for row in rows(1)], speaker=pa.list_(pa.string()))
    with pytest.raises(CorpusError, match="speaker holds lists"):
        corpora.load(str(save(tmp_path / "mine", found)))


def test_a_dataset_without_sound_or_emotion_is_refused_before_anything_is_unpacked(tmp_path):
    text = pa.table({"text": ["a"], "label": [0]})
    with pytest.raises(CorpusError, match="no column 'audio'"):
        corpora.load(str(save(tmp_path / "text", text)))
    silent = table(rows(1)).rename_columns(["audio", "topic"])
    with pytest.raises(CorpusError, match=r"no column of emotions\. Its columns: topic"):
        corpora.load(str(save(tmp_path / "silent", silent)))
    assert not any(corpora.cache_dir().rglob("*.wav"))


def test_compressed_batches_are_refused_because_they_could_fill_the_memory(tmp_path):
    folder = save(tmp_path / "mine", table(rows(1)))
    zeros = table([{"audio": {"bytes": bytes(1 << 24), "path": "a.wav"}, "label": 0}])
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    path = next(folder.glob("*.arrow"))
    with pa.ipc.new_stream(path, zeros.schema, options=options) as writer:
        writer.write_table(zeros)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(CorpusError, match="compressed batches"):
        corpora.load(str(folder))


def test_dictionaries_are_refused(tmp_path):
    found = pa.table({"audio": [{"bytes": sound(0.1), "path": "a.wav"}], "label": pa.array(["a"]).dictionary_encode()})
    with pytest.raises(CorpusError, match="dictionaries"):
        corpora.load(str(save(tmp_path / "mine", found)))


FUZZ = """
import random, sys
from pathlib import Path
from emocatcher.corpora.exchange import arrow_file
from emocatcher.foundation.errors import CorpusError
path, whole, chance = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), random.Random(0)
n_refused = 0
for _ in range(int(sys.argv[3])):
    content = bytearray(whole)
    for _ in range(chance.randrange(1, 6)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content[: chance.randrange(len(content))] if chance.random() < 0.2 else content)
    try:
        for batch in arrow_file.batches(path):
            batch.to_pylist()
    except CorpusError:
        n_refused += 1
    except UnicodeDecodeError:
        raise
print(n_refused)
"""


@pytest.mark.slow
def test_damaged_arrow_files_are_read_or_refused_and_never_end_the_process(tmp_path):
    n = 1500
    found = table([{"audio": {"bytes": bytes(range(64)), "path": "a.wav"}, "label": 0}] * 3, text=pa.string())
    whole = next(save(tmp_path / "mine", found).glob("*.arrow"))
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(tmp_path / "damaged.arrow"), str(whole), str(n)],
        capture_output=True, text=True, check=False, timeout=120, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert n // 10 < int(done.stdout) < n


def test_an_empty_file_and_another_format_are_no_arrow(tmp_path):
    for content in (b"", b"\xff\xff\xff\xff", np.zeros(99).tobytes(), sound(0.1)):
        (tmp_path / "a.arrow").write_bytes(content)
        with pytest.raises(CorpusError, match=r"a\.arrow"):
            list(arrow_file.batches(tmp_path / "a.arrow"))
