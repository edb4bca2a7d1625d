"""Read databases of audformat, and hostile ones."""

import textwrap

import pytest

from emocatcher import corpora
from emocatcher.corpora.exchange import audformat_tables
from emocatcher.foundation.errors import CorpusError

from .clips import put

pytest.importorskip("yaml", reason="needs the extra 'exchange'")

HEADER = """
name: mine
source: made
usage: research
languages: [deu]
license: CC0-1.0
media: {microphone: {type: audio, format: wav}}
raters: {gold: {type: human}}
schemes:
  emotion: {dtype: str, labels: [anger, neutral, "no"]}
  confidence: {dtype: float, minimum: 0, maximum: 1}
  arousal: {dtype: float, minimum: 1, maximum: 7}
  speaker: {dtype: str, labels: {"01": {gender: female, age: 30}, "02": {gender: male}}}
splits:
  train: {type: train}
  dev: {type: dev}
tables:
  emotion.train:
    type: filewise
    split_id: train
    columns: {emotion: {scheme_id: emotion, rater_id: gold}, activation: {scheme_id: arousal}}
  emotion.dev:
    type: filewise
    split_id: dev
    columns: {emotion: {scheme_id: emotion, rater_id: gold}, emotion.confidence: {scheme_id: confidence}}
  files:
    type: filewise
    columns: {speaker: {scheme_id: speaker}, duration: {}}
"""
TABLES = {
    "emotion.train": "file,emotion,activation\nwav/a.wav,anger,2.5\nwav/b.wav,no,7\n",
    "emotion.dev": "file,emotion,emotion.confidence\nwav/c.wav,neutral,0.9\n",
    "files": "file,speaker,duration\nwav/a.wav,01,0 days 00:00:00.1\nwav/b.wav,02,\nwav/c.wav,01,\n",
}


def make(folder, header=HEADER, tables=TABLES, files=("a", "b", "c")):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "db.yaml").write_text(textwrap.dedent(header))
    for name, content in tables.items():
        (folder / f"db.{name}.csv").write_text(content)
    for name in files:
        put(folder / "wav" / f"{name}.wav")
    return folder


def test_emotions_splits_speakers_and_ratings_are_read(tmp_path):
    corpus = corpora.load(str(make(tmp_path)))
    assert (corpus.name, corpus.licence) == ("mine", "CC0-1.0")
    assert [(u.id, u.emotion, u.split, u.speaker, u.gender, u.age, u.dimensions) for u in corpus] == [
        ("wav/a.wav", "angry", "train", "01", "female", 30, (("arousal", 2.5),)),
        ("wav/b.wav", "no", "train", "02", "male", None, (("arousal", 7.0),)),
        ("wav/c.wav", "neutral", "valid", "01", "female", 30, ()),
    ]
    assert all(one.path.is_file() for one in corpus)
    assert "1 column is not used: emotion.confidence" in corpus.notes


def test_segments_have_their_times(tmp_path):
    header = HEADER.replace("type: filewise\n    split_id: dev", "type: segmented\n    split_id: dev")
    rows = "wav/c.wav,0 days 00:00:00,0 days 00:00:00.050000000,anger\nwav/c.wav,0 days 00:01:00.5,NaT,neutral\n"
    tables = TABLES | {"emotion.dev": f"file,start,end,emotion\n{rows}"}
    found = [one for one in corpora.load(str(make(tmp_path, header, tables))) if one.split == "valid"]
    assert [(one.id, one.start_s, one.end_s, one.speaker) for one in found] == [
        ("wav/c.wav#0-0.05", None, 0.05, "01"), ("wav/c.wav#60.5-end", 60.5, None, "01"),
    ]  # fmt: skip


def test_a_column_is_read_by_its_scheme_whatever_its_name(tmp_path):
    header = HEADER.replace("columns: {speaker: {", "columns: {spk: {")
    tables = TABLES | {"files": TABLES["files"].replace("speaker", "spk")}
    corpus = corpora.load(str(make(tmp_path, header, tables)))
    assert [(one.speaker, one.gender) for one in corpus] == [("01", "female"), ("02", "male"), ("01", "female")]


def test_of_the_ratings_of_several_raters_the_gold_standard_counts(tmp_path):
    raters = "one: {scheme_id: arousal}, best: {scheme_id: arousal, rater_id: gold}, arousal: {scheme_id: arousal}"
    header = HEADER.replace("activation: {scheme_id: arousal}", raters)
    rows = "wav/a.wav,anger,1,2,3\nwav/b.wav,no,4,5,6\n"
    tables = TABLES | {"emotion.train": f"file,emotion,one,best,arousal\n{rows}"}
    corpus = corpora.load(str(make(tmp_path, header, tables)))
    assert [dict(one.dimensions).get("arousal") for one in corpus] == [2.0, 5.0, None]


def test_what_one_table_leaves_empty_another_fills(tmp_path):
    header = HEADER.replace("activation: {scheme_id: arousal}", "speaker: {scheme_id: speaker}")
    tables = TABLES | {"emotion.train": "file,emotion,speaker\nwav/a.wav,anger,\nwav/b.wav,no,\n"}
    assert [one.speaker for one in corpora.load(str(make(tmp_path, header, tables)))] == ["01", "02", "01"]


def test_the_speaker_of_a_segment_counts_before_that_of_its_file(tmp_path):
    header = HEADER.replace("type: filewise\n    split_id: dev", "type: segmented\n    split_id: dev")
    header += "  turns: {type: segmented, columns: {speaker: {scheme_id: speaker}}}\n"
    times = ("0 days 00:00:00,0 days 00:00:00.05", "0 days 00:00:00.05,0 days 00:00:00.1")
    tables = TABLES | {
        "emotion.dev": "file,start,end,emotion\n" + "".join(f"wav/c.wav,{time},neutral\n" for time in times),
        "turns": f"file,start,end,speaker\nwav/c.wav,{times[1]},02\n",
    }
    found = [one for one in corpora.load(str(make(tmp_path, header, tables))) if one.split == "valid"]
    assert [one.speaker for one in found] == ["01", "02"]


def test_times_in_parquet_need_no_pandas(tmp_path):
    pa = pytest.importorskip("pyarrow")
    nanoseconds = pa.array([50_000_001], pa.duration("ns"))
    table = pa.table({"file": ["wav/c.wav"], "start": pa.array([0], pa.duration("ns")), "end": nanoseconds})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "db.x.parquet")
    ((place, _),) = audformat_tables.rows(tmp_path / "db.x.parquet")
    assert place == ("wav/c.wav", None, 0.05)


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a\\\\b", ".hidden", "x\\ny", "n" * 300])
def test_a_name_that_cannot_be_part_of_a_file_name_is_not_used(tmp_path, name):
    folder = make(tmp_path / "mine", HEADER.replace("name: mine", f'name: "{name}"'))
    assert corpora.load(str(folder)).name == "mine"


def test_speakers_may_be_described_by_a_table(tmp_path):
    header = HEADER.replace('{"01": {gender: female, age: 30}, "02": {gender: male}}', "people")
    header += "misc_tables:\n  people: {levels: {speaker: str}, columns: {gender: {}, age: {}}}\n"
    tables = TABLES | {"people": "speaker,gender,age\n01,female,44\n02,male,45\n"}
    assert [one.age for one in corpora.load(str(make(tmp_path, header, tables)))] == [44, 45, 44]


def test_a_table_can_be_given_by_its_file(tmp_path):
    folder = make(tmp_path)
    assert [one.id for one in corpora.load(str(folder / "db.emotion.dev.csv"))] == ["wav/c.wav"]
    with pytest.raises(CorpusError, match=r"table files .* Tables that have one: emotion\.train, emotion\.dev"):
        corpora.load(str(folder / "db.files.csv"))


def test_the_gold_standard_counts_before_other_tables(tmp_path):
    header = HEADER.replace("rater_id: gold", "rater_id: someone") + (
        "  gold_standard: {type: filewise, columns: {emotion: {scheme_id: emotion}}}\n"
    )
    tables = TABLES | {"gold_standard": "file,emotion\nwav/a.wav,neutral\n"}
    assert [(one.id, one.emotion) for one in corpora.load(str(make(tmp_path, header, tables)))] == [
        ("wav/a.wav", "neutral")
    ]


def test_tables_that_contradict_each_other_are_refused_with_the_way_out(tmp_path):
    tables = TABLES | {"emotion.dev": "file,emotion\nwav/a.wav,neutral\n"}
    header = HEADER.replace("split_id: dev", "split_id: train")
    with pytest.raises(CorpusError, match=r"emotion is 'neutral', and 'anger' in .*give .*emotion\.dev\.csv as the"):
        corpora.load(str(make(tmp_path, header, tables)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scheme_id: speaker", "scheme_id: voice", "has the scheme 'voice', which the header lacks"),
        ("split_id: dev", "split_id: valid", "has the split 'valid', which the header lacks"),
        ("tables:", "tables: 3\nothers:", "does not describe a database"),
        ("name: mine", "name: [mine]", "does not describe a database"),
        ("name: mine", "name: !!python/object/apply:os.system [echo]", "is not YAML"),
        ("name: mine", "name: &a mine\nalso: *a", "references"),
        ("name: mine", "name: " + "[" * 3000, "is not YAML"),
        ("name: mine", "name: \"\\ud800\"\nage: 2020-99-99", "db.yaml"),
        ("  emotion.dev:", "  ../emotion.dev:", "no name of a file"),
        ('"no"]', "3]", "emotion is 'no', which is no label of the scheme emotion. Allowed: anger, neutral, 3"),
        ("emotion.dev:\n", "emotion.dev:\n    type: filewise\n    columns: 3\n  x:\n", "does not describe"),
    ],
)  # fmt: skip
def test_a_hostile_header_is_refused(tmp_path, old, new, message):
    assert old in HEADER
    with pytest.raises(CorpusError, match=message):
        corpora.load(str(make(tmp_path, HEADER.replace(old, new))))


def test_a_header_of_nested_references_takes_no_memory(tmp_path):
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))
    with pytest.raises(CorpusError, match="references"):
        corpora.load(str(make(tmp_path, f"{HEADER}\nl0: &l0 [x]\n{levels}\n")))


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        ("emotion.dev", "emotion\nanger\n", "row 2: no file"),
        ("emotion.dev", "file,emotion\n../../x.wav,anger\n", "Only files of the folder are read"),
        ("emotion.dev", "file,emotion\n/etc/hostname,anger\n", "Only files of the folder are read"),
        ("emotion.dev", "file,emotion\nwav/gone.wav,anger\n", r"no such recording: .*gone\.wav"),
        ("emotion.dev", "file,start,end,emotion\nwav/c.wav,yesterday,,anger\n", "row 2: start is 'yesterday'"),
        ("emotion.dev", "file,start,end,emotion\nwav/c.wav,2,1,anger\n", "start_s 2 is not before end_s 1"),
        ("emotion.train", "file,emotion,activation\nwav/a.wav,anger,loud\n", "row 2: arousal is 'loud'"),
        ("emotion.train", "file,emotion,activation\nwav/a.wav,anger,9\n", "arousal is 9, outside the range 1 to 7"),
        ("files", "file,speaker\nwav/a.wav,03\n", "speaker is '03', which is no label of the scheme speaker"),
    ],
)
def test_a_hostile_table_is_refused_with_its_row(tmp_path, table, content, message):
    with pytest.raises(CorpusError, match=message):
        corpora.load(str(make(tmp_path, tables=TABLES | {table: content})))


def test_missing_media_can_be_checked(tmp_path):
    assert len(corpora.load(str(make(tmp_path, files=("a",))), to_check=True)) == 3


def test_a_pickled_table_is_never_opened(tmp_path):
    folder = make(tmp_path)
    (folder / "db.files.csv").rename(folder / "db.files.pkl")
    with pytest.raises(CorpusError, match="only as pickle, which can run code"):
        corpora.load(str(folder))
    (folder / "db.files.pkl").unlink()
    with pytest.raises(CorpusError, match="no file for it"):
        corpora.load(str(folder))


def test_a_database_without_emotions_names_its_tables(tmp_path):
    header = HEADER.replace("emotion: {scheme_id: emotion, rater_id: gold}", "mood: {}")
    with pytest.raises(CorpusError, match=r"scheme or the column emotion\. Its tables: emotion\.train"):
        corpora.load(str(make(tmp_path, header)))
