"""Read audio folders as Hugging Face `datasets` has them."""

import json

import pytest

from emocatcher import corpora
from emocatcher.foundation.errors import CorpusError

from .clips import put


def test_the_table_of_metadata_names_recordings_and_their_facts(tmp_path):
    for name in ("a.wav", "deep/b.wav", "c.wav"):
        put(tmp_path / name)
    (tmp_path / "metadata.csv").write_text(
        "file_name,emotion,speaker,gender,text\na.wav,anger,1,F,Hello\ndeep/b.wav,bored,1,F,Bye\n"
    )
    corpus = corpora.load(str(tmp_path))
    assert [(one.id, one.path, one.emotion, one.speaker, one.gender) for one in corpus] == [
        ("a.wav", tmp_path / "a.wav", "angry", "1", "female"),
        ("deep/b.wav", tmp_path / "deep" / "b.wav", "bored", "1", "female"),
    ]
    assert corpus.notes[0].startswith("1 recording is in no table, and is left out: ")
    assert "1 column is not used: text" in corpus.notes


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_each_split_may_have_its_table_in_each_format(tmp_path, kind):
    for split in ("train", "dev", "test"):
        put(tmp_path / split / "clips" / "a.wav")
        row = {"file_name": "clips/a.wav", "label": "sad", "arousal[1:5]": {"train": 1, "dev": 2, "test": 3}[split]}
        path = tmp_path / split / f"metadata.{kind}"
        if kind == "csv":
            path.write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
        elif kind == "jsonl":
            path.write_text(json.dumps(row) + "\n")
        else:
            pa = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist([row]), path)
    corpus = corpora.load(str(tmp_path))
    assert {one.id: one.split for one in corpus} == {
        "train/clips/a.wav": "train", "dev/clips/a.wav": "valid", "test/clips/a.wav": "test",
    }  # fmt: skip
    assert [dict(one.dimensions)["arousal"] for one in sorted(corpus, key=lambda one: one.id)] == [2.0, 3.0, 1.0]


def test_a_folder_for_each_split_has_a_folder_for_each_label(tmp_path):
    for name in ("train/anger/a.wav", "train/sad/b.wav", "test/anger/c.wav"):
        put(tmp_path / name)
    assert [(one.id, one.split, one.emotion) for one in corpora.load(str(tmp_path))] == [
        ("test/anger/c.wav", "test", "angry"), ("train/anger/a.wav", "train", "angry"),
        ("train/sad/b.wav", "train", "sad"),
    ]  # fmt: skip


def test_labels_that_are_not_splits_stay_labels(tmp_path):
    for name in ("angry/1/a.wav", "test/1/b.wav"):
        put(tmp_path / name)
    assert corpora.load(str(tmp_path)).labels == ("angry", "test")


def test_a_table_without_names_of_files_is_no_table_of_metadata(tmp_path):
    put(tmp_path / "sad" / "a.wav")
    (tmp_path / "metadata.csv").write_text("title,year\nMine,2026\n")
    (tmp_path / "sad" / "metadata.csv").mkdir()
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1 damaged")
    assert [one.emotion for one in corpora.load(str(tmp_path))] == ["sad"]


@pytest.mark.parametrize("name", ["../../outside.wav", "a/../../../out.wav", "/etc/hostname", "C:\\a.wav/../../../x"])
def test_a_row_cannot_name_a_file_outside_the_folder(tmp_path, name):
    put(tmp_path / "outside.wav")
    (tmp_path / "mine" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "train" / "metadata.csv").write_text(f"file_name,label\n{name},sad\n")
    with pytest.raises(CorpusError, match=r"row 2: .* Only files of the folder are read"):
        corpora.load(str(tmp_path / "mine"))


def test_missing_recordings_are_counted_and_can_be_checked(tmp_path):
    put(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,sad\nb.wav,sad\nc.wav,sad\n,sad\n")
    with pytest.raises(CorpusError, match="row 5: file_name is empty"):
        corpora.load(str(tmp_path))
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,sad\nb.wav,sad\nc.wav,sad\n")
    with pytest.raises(CorpusError, match=r"no such recording: .*b\.wav\. 2 of 3 rows have none"):
        corpora.load(str(tmp_path))
    assert len(corpora.load(str(tmp_path), to_check=True)) == 3


def test_a_table_without_labels_is_refused(tmp_path):
    put(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,Hello\n")
    with pytest.raises(CorpusError, match="no column of emotions"):
        corpora.load(str(tmp_path))
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,\n")
    with pytest.raises(CorpusError, match="all labels are empty"):
        corpora.load(str(tmp_path))


def test_an_empty_table_does_not_hide_the_others(tmp_path):
    for split in ("test", "train"):
        put(tmp_path / split / "a.wav")
    (tmp_path / "test" / "metadata.jsonl").write_text("\n")
    (tmp_path / "train" / "metadata.jsonl").write_text('{"file_name": "a.wav", "label": "sad"}\n')
    assert [one.id for one in corpora.load(str(tmp_path))] == ["train/a.wav"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,label\na.wav,슬픔\n".encode("cp949")),
        ("metadata.jsonl", b'{"file_name": "a.wav", "label": "sad"\n'),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path, name, content):
    put(tmp_path / "clips" / "a.wav")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=rf"{name}, row \d: not"):
        corpora.load(str(tmp_path))


def test_a_recording_that_two_tables_name_is_refused(tmp_path):
    """It would count twice, and could be trained on and tested on."""
    put(tmp_path / "train" / "a.wav")
    (tmp_path / "metadata.csv").write_text("file_name,label\ntrain/a.wav,sad\n")
    (tmp_path / "train" / "metadata.csv").write_text("file_name,label\na.wav,sad\n")
    with pytest.raises(CorpusError, match=r"train/a\.wav is also named in .*metadata\.csv, row 2\. Remove one"):
        corpora.load(str(tmp_path))


def test_absolute_names_and_detours_are_those_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        put(tmp_path / "test" / "mine" / "clips" / name)
    rows = f"file_name,label\n{tmp_path}/test/mine/clips/a.wav,sad\ntrain/../clips/b.wav,sad\n"
    (tmp_path / "test" / "mine" / "train").mkdir()
    (tmp_path / "test" / "mine" / "metadata.csv").write_text(rows)
    corpus = corpora.load("test/mine")
    assert [(one.id, one.split) for one in corpus] == [("clips/a.wav", None), ("clips/b.wav", None)]
    assert not corpus.notes
