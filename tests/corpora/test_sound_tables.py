import io
import os

import numpy as np
import pytest
import soundfile

from emocatcher import audio, corpora
from emocatcher.corpora.exchange import sound_tables
from emocatcher.foundation.errors import CorpusError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def sound(level, file_format="FLAC"):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(1600, level, np.float32), 16_000, format=file_format)
    return buffer.getvalue()


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def row(number, emotion, **columns):
    file = {"bytes": sound(0.1 * (number + 1)), "path": f"{number}.flac"}
    return {"file_id": f"{number}.flac", "audio": file, "emotion": emotion, **columns}


CAMEO = [
    row(0, "anger", speaker_id="1", gender="Female", dataset="a", license="CC0"),
    row(1, "happiness", speaker_id="1", gender="m", dataset="b", license="CC BY 4.0"),
    row(2, "amusement", speaker_id="2", gender="other", dataset="b", license="CC BY 4.0"),
]


def test_rows_become_utterances_with_their_sound(tmp_path):
    corpus = corpora.load(str(write(tmp_path / "mine.parquet", CAMEO)))
    assert [(u.id, u.emotion, u.speaker, u.gender) for u in corpus] == [
        ("a/0.flac", "angry", "a:1", "female"),
        ("b/1.flac", "happy", "b:1", "male"),  # another corpus's speaker 1
        ("b/2.flac", "amusement", "b:2", None),
    ]
    assert (corpus.name, corpus.labels) == ("mine", ("happy", "angry", "amusement"))
    assert corpus.licence == "CC0; CC BY 4.0"
    levels = [float(audio.load(u.path)[0].max()) for u in corpus]
    assert levels == pytest.approx([0.1, 0.2, 0.3], abs=0.01)
    assert all(u.path.is_relative_to(corpora.cache_dir()) for u in corpus)


def test_the_sound_is_unpacked_once_and_again_if_the_file_changes(tmp_path):
    path = write(tmp_path / "mine.parquet", CAMEO)
    assert "Unpacking" in corpora.first_use(str(path))
    first = corpora.load(str(path)).utterances[0].path
    assert corpora.first_use(str(path)) == ""
    written = first.stat().st_mtime_ns
    assert corpora.load(str(path)).utterances[0].path.stat().st_mtime_ns == written
    write(path, CAMEO[::-1])
    os.utime(path, ns=(1, 1))
    assert corpora.load(str(path)).utterances[0].path.parent != first.parent


def test_a_corpus_of_several_files_leaves_out_what_is_no_emotion(tmp_path):
    write(tmp_path / "data" / "a-00000-of-00002.parquet", CAMEO[:1])
    write(tmp_path / "data" / "b-00001-of-00002.parquet", CAMEO[1:])
    corpus = corpora.load(f"cameo={tmp_path}")
    assert [u.id for u in corpus] == ["a/0.flac", "b/1.flac"]
    assert corpus.notes == ("1 rows are left out (label 'amusement')",)
    levels = [float(audio.load(u.path)[0].max()) for u in corpus]
    assert levels == pytest.approx([0.1, 0.2], abs=0.01)
    assert len(corpora.load(str(tmp_path))) == 3  # a folder of one's own keeps its labels


def test_rows_without_sound_or_emotion_are_counted(tmp_path):
    rows = [row(0, "sad"), row(1, "sad") | {"audio": None}, row(2, None)]
    corpus = corpora.load(str(write(tmp_path / "mine.parquet", rows)))
    assert [u.id for u in corpus] == ["0.flac"]
    assert corpus.notes[0].startswith("1 row has no sound, and is left out: 1.flac")
    assert [u.id for u in corpus.unlabelled] == ["2.flac"]
    assert corpus.notes[1].startswith("1 recording has no label")


def test_ids_that_repeat_get_the_number_of_the_row(tmp_path):
    rows = [row(0, "sad"), row(0, "happy")]
    assert [u.id for u in corpora.load(str(write(tmp_path / "mine.parquet", rows)))] == ["0.flac#0", "0.flac#1"]
    rows = [{"audio": {"bytes": sound(0.1), "path": "clip.wav"}, "label": "sad"} for _ in range(2)]
    assert [u.id for u in corpora.load(str(write(tmp_path / "none.parquet", rows)))] == ["row 0", "row 1"]


def test_a_small_file_that_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sound_tables, "_SPARE_BYTES", 0)
    rows = [{"audio": {"bytes": bytes(100_000), "path": "clip.wav"}, "label": "sad"} for _ in range(100)]
    path = write(tmp_path / "mine.parquet", rows)
    assert path.stat().st_size < 100_000
    with pytest.raises(CorpusError, match="over 50 times as long as the file"):
        corpora.load(str(path))
    assert not any(corpora.cache_dir().rglob("*.wav"))


def test_the_name_of_a_file_in_the_table_cannot_lead_outside_the_cache(tmp_path):
    rows = [{"audio": {"bytes": sound(0.1), "path": "../../../outside.wav/x"}, "label": "sad"}]
    (utterance,) = corpora.load(str(write(tmp_path / "mine.parquet", rows)))
    assert utterance.path.resolve().is_relative_to(corpora.cache_dir().resolve())
    assert audio.load(utterance.path)[0].size


def test_a_table_of_paths_is_no_table_of_sound(tmp_path):
    (tmp_path / "a.wav").touch()
    path = write(tmp_path / "mine.parquet", [{"path": "a.wav", "label": "sad", "audio": {"bytes": b"", "path": ""}}])
    assert not sound_tables.has_audio(path)
    assert [u.path for u in corpora.load(str(path))] == [tmp_path / "a.wav"]


def test_a_file_without_emotions_is_refused_with_its_columns(tmp_path):
    path = write(tmp_path / "mine.parquet", [{"audio": {"bytes": sound(0.1), "path": "a.flac"}, "text": "x"}])
    with pytest.raises(CorpusError, match=r"no column of emotions\. Its columns: text"):
        corpora.load(str(path))


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "mine.parquet", CAMEO)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "file"))
    with pytest.raises(CorpusError, match="EMOCATCHER_CACHE"):
        corpora.load(str(path))


def test_a_damaged_file_among_several_is_named(tmp_path):
    write(tmp_path / "a.parquet", CAMEO)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(CorpusError, match=r"b\.parquet is not a Parquet file"):
        corpora.load(str(tmp_path))


def test_damaged_sound_leaves_nothing_in_the_cache(tmp_path):
    path = write(tmp_path / "mine.parquet", CAMEO)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="mine"):
        corpora.load(str(path))
    assert not any(corpora.cache_dir().rglob("*.flac"))


def test_sound_that_cannot_be_decoded_is_not_blamed_on_the_cache(tmp_path):
    path = write(tmp_path / "mine.parquet", CAMEO)
    sound_begins = parquet.read_metadata(path).row_group(0).column(1)
    assert sound_begins.path_in_schema == "audio.bytes"
    content = bytearray(path.read_bytes())
    begin = sound_begins.dictionary_page_offset or sound_begins.data_page_offset
    content[begin : begin + 50] = b"\xff" * 50
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"mine\.parquet is damaged: ") as error:
        corpora.load(str(path))
    assert "EMOCATCHER_CACHE" not in str(error.value)


def test_a_small_file_that_would_fill_the_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(sound_tables, "_SPARE_BYTES", 0)
    rows = [
        {"audio": {"bytes": bytes(1_000_000) + bytes([number]), "path": "a.wav"}, "label": "sad"} for number in (0, 1)
    ]
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    with pytest.raises(CorpusError, match="expands to 2,0"):
        corpora.load(str(path))


def test_a_file_of_the_system_in_the_cache_is_not_read(tmp_path):
    path = write(tmp_path / "mine.parquet", CAMEO)
    folder = corpora.load(str(path)).utterances[0].path.parent
    (folder / ".DS_Store").touch()
    assert len(corpora.load(str(path))) == 3


def test_sound_beside_the_paths_that_it_was_read_from_is_found(tmp_path):
    path = write(tmp_path / "data" / "mine.parquet", [one | {"path": "/elsewhere/a.wav"} for one in CAMEO])
    for name in (path, tmp_path):
        assert len(corpora.load(str(name))) == 3


def test_a_split_in_a_column_counts_before_that_of_the_file(tmp_path):
    splits = ("Train", "Development", "Test1", "unlabelled")
    rows = [row(number, "sad", split=split) for number, split in enumerate(splits)]
    corpus = corpora.load(str(write(tmp_path / "train-00000-of-00001.parquet", rows).parent))
    assert [one.split for one in corpus] == ["train", "valid", "test", None]
