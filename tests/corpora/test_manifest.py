import json
import os
import resource
import sys
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocatcher.corpora import manifest
from emocatcher.foundation.errors import ManifestError, MissingExtraError

HEADER = "path,label,speaker,start_s,end_s,split\n"
ROWS = [
    {"path": "a.wav", "label": "bored", "speaker": "x", "start_s": 0.0, "end_s": 1.5, "split": "train"},
    {"path": "a.wav", "label": "happy", "speaker": "x", "start_s": 1.5, "end_s": None, "split": "train"},
    {"path": "sub/b.wav", "label": "neutral", "speaker": "7", "start_s": None, "end_s": None, "split": "test"},
    {"path": "c.wav", "label": "awed", "speaker": "7", "start_s": None, "end_s": 2.0, "split": "valid"},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.wav", "sub/b.wav", "c.wav"):
        (tmp_path / name).touch()
    return tmp_path


def write_csv(folder, text, name="mine.csv", encoding="utf-8"):
    (folder / name).write_text(text, encoding=encoding, newline="")
    return folder / name


def as_csv(folder, separator=",", line_end="\n", encoding="utf-8", first="", name="mine.csv"):
    def cell(value):
        return "" if value is None else str(value)

    lines = [separator.join(ROWS[0]), *(separator.join(map(cell, row.values())) for row in ROWS)]
    return write_csv(folder, first + line_end.join(lines), name, encoding)


def as_jsonl(folder):
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in ROWS))
    return path


def as_parquet(folder):
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "mine.parquet")
    return folder / "mine.parquet"


@pytest.mark.parametrize(
    "write",
    [
        as_csv,
        lambda folder: as_csv(folder, ";", "\r\n", "utf-8-sig"),
        lambda folder: as_csv(folder, "\t"),
        lambda folder: as_csv(folder, "\t", "\r\n", "utf-16"),
        lambda folder: as_csv(folder, "\t", name="mine.tsv"),
        lambda folder: as_csv(folder, ";", "\r\n", first="sep=;\r\n"),
        lambda folder: as_csv(folder, "|", encoding="utf-16-le", first="\ufeffSEP=|\n\n"),
        as_jsonl,
        as_parquet,
    ],
    ids=["csv", "excel", "tabs", "unicode text", "tsv", "sep", "any separator", "jsonl", "parquet"],
)
def test_every_format_gives_the_same_corpus(folder, write):
    corpus = manifest.read(write(folder))
    assert corpus.name == "mine"
    assert corpus.labels == ("neutral", "happy", "awed", "bored")
    assert not corpus.synthetic
    assert [u.id for u in corpus] == ["a.wav#0-1.5", "a.wav#1.5-end", "sub/b.wav", "c.wav"]
    read_back = [
        {"path": u.path.relative_to(folder).as_posix(), "label": u.emotion}
        | {column: getattr(u, column) for column in ("speaker", "start_s", "end_s", "split")}
        for u in corpus
    ]
    assert read_back == ROWS


def test_only_path_and_label_or_emotion_are_required(folder):
    corpus = manifest.read(write_csv(folder, "Emotion, Path ,note\nhappy,c.wav,hello\n\nsad,a.wav\n"))
    assert [(u.id, u.emotion, u.speaker, u.split) for u in corpus] == [
        ("c.wav", "happy", None, None),
        ("a.wav", "sad", None, None),
    ]


def test_label_takes_precedence_over_emotion(folder):
    assert manifest.read(write_csv(folder, "path,emotion,label\nc.wav,x,happy\n")).labels == ("happy",)


def test_labels_are_known_emotions_in_canonical_order_then_others_sorted(folder):
    written = ("zeal", "surprised", "awe", "Happy", "neutral", "envy", "angry", "boredom")
    path = write_csv(folder, "path,label,id\n" + "".join(f"c.wav,{label},{label}\n" for label in written))
    assert manifest.read(path).labels == ("neutral", "happy", "angry", "surprised", "awe", "boredom", "envy", "zeal")


def test_own_ids_and_absolute_paths_are_accepted(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "ünï.wav"
    elsewhere.touch()
    corpus = manifest.read(write_csv(folder, f'path,label,id\n"{elsewhere}",happy,one\nc.wav,sad,two\n'))
    assert [(u.id, u.path) for u in corpus] == [("one", elsewhere), ("two", folder / "c.wav")]


def test_nan_and_null_cells_count_as_empty(folder):
    table = pa.table({"path": ["c.wav"], "label": ["happy"], "start_s": [float("nan")], "speaker": pa.nulls(1)})
    pq.write_table(table, folder / "mine.parquet")
    (utterance,) = manifest.read(folder / "mine.parquet")
    assert (utterance.start_s, utterance.speaker) == (None, None)


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        ("path,labl\nc.wav,happy\n", None, ["no column 'label'", "path, labl", "Needed: path, label"]),
        ("file,label\nc.wav,happy\n", None, ["no column 'path'"]),
        ("path,emotion\na.wav,\n", None, ["all labels are empty", "--unlabelled", "emocatcher label"]),
        ("path,label\n,happy\n", 2, ["path is empty"]),
        ("path,label\nc.wav,happy\n\nno.wav,sad\n", 4, ["no such recording", "no.wav"]),
        ("path,label\nsub,happy\n", 2, ["no such recording"]),
        (HEADER + "c.wav,happy,x,2,2,train\n", 2, ["start_s 2", "end_s 2"]),
        (HEADER + "c.wav,happy,x,,0,train\n", 2, ["start_s 0", "end_s 0"]),
        (HEADER + "c.wav,happy,x,-1,2,train\n", 2, ["start_s is '-1'"]),
        (HEADER + "c.wav,happy,x,1,soon,train\n", 2, ["end_s is 'soon'"]),
        (HEADER + "c.wav,happy,x,inf,,train\n", 2, ["start_s is 'inf'"]),
        (HEADER + "c.wav,happy,x,0,1,tset\n", 2, ["'tset'", "Did you mean 'test'?", "train, valid, test"]),
        ("path,label,speaker\nc.wav,happy,x\na.wav,sad,\n", 3, ["no speaker", "1 of 2"]),
        ("path,label,split\nc.wav,happy,\na.wav,sad,test\n", 2, ["no split", "1 of 2"]),
        ("path,label\nc.wav,happy\na.wav,sad\nc.wav,sad\n", 4, ["c.wav#0-end", "row 2"]),
        ("path,label,id\nc.wav,happy,one\na.wav,sad,one\n", 3, ["'one'", "row 2"]),
        ("path,label\nc.wav,happy,sad\n", 2, ["3 cells for 2 columns"]),
        ('path,label\n"c.wav,happy\n', 2, ["not CSV"]),
        ("sep=;\r\npath;label\r\nc.wav;sad;glad\r\n", 3, ["3 cells for 2 columns"]),
        ("sep=;\npath;label\n", None, ["no rows"]),
        ("path,label\nC:\\\\calls\\c.wav,sad\n", 2, ["C:\\\\calls\\c.wav' is a path of Windows", "such as 'c.wav'"]),
        ("path,label\n\\\\server\\calls\\c.wav,sad\n", 2, ["is a path of Windows", "such as 'c.wav'"]),
        (f"path,label\n{'x' * 300}.wav,sad\n", 2, ["no such recording"]),
        ("path,label\n", None, ["no rows"]),
        ("", None, ["no rows"]),
    ],
)
def test_an_invalid_row_error_names_the_file_and_the_row(folder, text, row, words):
    path = write_csv(folder, text)
    with pytest.raises(ManifestError) as caught:
        manifest.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in [*words, *([f"row {row}:"] if row else [])]:
        assert word in message


def test_a_table_that_is_not_utf_8_is_refused(folder):
    path = write_csv(folder, "path,label\nc.wav,fröhlich\n", encoding="latin-1")
    with pytest.raises(ManifestError, match="row 2: not UTF-8"):
        manifest.read(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"path": "c.wav"', "not a JSON object"),
        ('["c.wav", "happy"]', "not a JSON object"),
        ('{"path": "c.wav", "label": ["happy"]}', "label is"),
        ('{"path":' * 100_000, "not a JSON object"),
    ],
)
def test_an_invalid_json_line_error_names_the_row(folder, line, words):
    (folder / "mine.jsonl").write_text('{"path": "a.wav", "label": "sad"}\n' + line)
    with pytest.raises(ManifestError, match=f"row 2: .*{words}"):
        manifest.read(folder / "mine.jsonl")


def test_a_file_that_is_not_a_table_is_refused(folder):
    (folder / "mine.parquet").write_text("hello")
    with pytest.raises(ManifestError, match="not a Parquet file"):
        manifest.read(folder / "mine.parquet")
    with pytest.raises(ManifestError, match=r"\.csv, \.tsv, \.jsonl, \.parquet"):
        manifest.read(folder / "a.wav")
    with pytest.raises(ManifestError, match="no such file"):
        manifest.read(folder / "no.csv")


def test_a_folder_with_one_sub_folder_per_emotion_is_read(tmp_path):
    for name in ("happy/1.wav", "happy/ann/1.M4A", "zen/2.opus", "sad/3.flac", "notes/readme.txt", ".trash/x/4.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "happy" / "._1.wav").touch()
    corpus = manifest.read_folder(tmp_path)
    assert corpus.name == tmp_path.name
    assert corpus.labels == ("happy", "sad", "zen")
    assert [(u.id, u.emotion) for u in corpus] == [
        ("happy/1.wav", "happy"),
        ("happy/ann/1.M4A", "happy"),
        ("sad/3.flac", "sad"),
        ("zen/2.opus", "zen"),
    ]
    assert corpus.speakers == ()
    assert list(corpus.notes) == [
        f"2 recordings are hidden, and are left out: {tmp_path}/.trash/x/4.wav, {tmp_path}/happy/._1.wav",
        f"1 file has another suffix, .txt (1), and is left out: {tmp_path}/notes/readme.txt",
        "1 sub-folder has no recordings: notes",
        (
            "1 recording lies in a folder inside the sub-folders. The first folder is the label: happy/ann/1.M4A is "
            "'happy'"
        ),
    ]


def test_every_file_of_a_folder_is_read_or_counted(tmp_path):
    suffixes = ("wav", "WAV", "opus", "amr", "m4a", "mp4", "wma", "Ogg", "3gp", "aiff", "pdf", "txt", "xyz", "")
    for number, suffix in enumerate(suffixes):
        path = tmp_path / "corpus" / ("glad" if number % 2 else "sad") / "deep" / f"{number}.{suffix}".rstrip(".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "elsewhere" / "more").mkdir(parents=True)
    (tmp_path / "elsewhere" / "more" / "x.mp3").touch()
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")  # a circle
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "sad" / "one.wav").symlink_to(tmp_path / "corpus" / "sad" / "deep" / "0.wav")
    (tmp_path / "corpus" / "none").mkdir()
    corpus = manifest.read_folder(tmp_path / "corpus")
    assert {u.path.name for u in corpus} == {f"{n}.{s}" for n, s in enumerate(suffixes[:10])} | {"x.mp3", "one.wav"}
    assert [u.id for u in corpus if u.emotion == "linked"] == ["linked/more/x.mp3"]
    assert any(note.startswith("4 files have other suffixes, ") for note in corpus.notes)
    assert any("no recordings: none" in note for note in corpus.notes)


def test_a_sub_folder_that_cannot_be_opened_is_counted(tmp_path, monkeypatch):
    """Permissions do not stop root, so the refusal is simulated."""
    for name in ("sad", "locked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.wav").touch()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = manifest.read_folder(tmp_path)
    assert [u.id for u in found] == ["sad/1.wav"]
    assert f"1 folder cannot be opened, and is left out: {tmp_path}/locked" in found.notes


def test_the_columns_of_the_labelling_page_need_no_note(folder):
    text = "path,label,note,listener,guess,probability,labelled_at\na.wav,sad,,,happy,0.5,2026-11-28T18:13:04Z\n"
    assert manifest.read(write_csv(folder, text)).notes == ()


def test_columns_that_are_not_used_are_noted(folder):
    (folder / "t.csv").write_text("path,label,emotion,start\na.wav,sad,glad,1.5\n")
    assert manifest.read(folder / "t.csv").notes == ("2 columns are not used: emotion, start",)
    (folder / "t.csv").write_text("path,label,Label\na.wav,sad,glad\n")
    with pytest.raises(ManifestError, match="has the column 'label' twice"):
        manifest.read(folder / "t.csv")


def test_missing_recordings_are_counted(folder):
    (folder / "t.csv").write_text("path,label\na.wav,sad\nno.wav,sad\nnor.wav,glad\n")
    with pytest.raises(ManifestError, match=r"row 3: no such recording: 'no.wav'. 2 of 3 rows have none; .* check"):
        manifest.read(folder / "t.csv")
    assert len(manifest.read(folder / "t.csv", to_check=True)) == 3


@pytest.mark.parametrize(
    "name", ["sub\\b.wav", ".\\sub\\b.wav", "été/à.wav", "e\u0301te\u0301/a\u0300.wav", "été\\à.wav", "sub/x\\y.wav"]
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_from_another_computer_is_found(folder, name, form):
    for one in ("été/à.wav", "sub/x\\y.wav"):
        (folder / unicodedata.normalize(form, one)).parent.mkdir(exist_ok=True)
        (folder / unicodedata.normalize(form, one)).touch()
    (utterance,) = manifest.read(write_csv(folder, f"path,label\n{name},sad\n"))
    assert utterance.path.is_file()
    assert utterance.id == name


def test_a_recording_outside_the_emotion_folders_is_refused(tmp_path):
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "1.wav").touch()
    (tmp_path / "loose.wav").touch()
    with pytest.raises(ManifestError, match=r"loose\.wav is not in an emotion's folder"):
        manifest.read_folder(tmp_path)
    (tmp_path / "looser.wav").touch()
    with pytest.raises(ManifestError, match=r"loose\.wav and 1 more are not in an emotion's folder"):
        manifest.read_folder(tmp_path)


def test_recordings_without_labels_are_read_to_be_checked(folder):
    corpus = manifest.read_folder(folder, to_check=True)
    assert [one.id for one in corpus.unlabelled] == ["a.wav", "c.wav"]
    assert [(one.id, one.emotion) for one in corpus] == [("sub/b.wav", "sub")]
    for text in ("path,speaker\na.wav,x\nc.wav,y\n", "path,speaker,label\na.wav,x,\nc.wav,y,\n"):
        corpus = manifest.read(write_csv(folder, text), to_check=True)
        assert ([one.speaker for one in corpus.unlabelled], len(corpus)) == (["x", "y"], 0)


def test_a_folder_without_recordings_is_refused(tmp_path: Path):
    with pytest.raises(ManifestError, match="contains no recordings"):
        manifest.read_folder(tmp_path)


def test_a_missing_extra_for_parquet_is_named(folder, monkeypatch):
    path = as_parquet(folder)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="batch"):
        manifest.read(path)


def test_a_csv_cell_is_read_without_the_quote_before_a_formula(folder):
    for name in ("=1.wav", "+2.wav"):
        (folder / name).touch()
    corpus = manifest.read(write_csv(folder, "path,label\n'=1.wav,'@glad\n+2.wav,-low\n"))
    assert [(u.path.name, u.emotion) for u in corpus.utterances] == [("=1.wav", "@glad"), ("+2.wav", "-low")]


def test_a_small_parquet_file_with_millions_of_rows_is_refused_at_once(folder):
    column = pa.DictionaryArray.from_arrays(pa.nulls(5_000_001, pa.int8()), pa.array(["a.wav"]))
    pq.write_table(pa.table({"path": column, "label": column}), folder / "many.parquet")
    with pytest.raises(ManifestError, match="5,000,001 rows; allowed are 5,000,000"):
        manifest.read(folder / "many.parquet")


@pytest.mark.parametrize(
    ("n_rows", "length", "once", "message"),
    [(300, 10_000_000, True, "10,000,000 bytes; allowed are 65,536"), (600, 1_000_000, False, "are 536,870,912")],
    ids=["stored once", "compressed"],
)
@pytest.mark.parametrize("read", [manifest.read, manifest.read_paths])
def test_a_small_parquet_file_of_huge_texts_is_refused_before_they_are_copied(
    folder, read, n_rows, length, once, message
):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), pa.array(["x" * length]))
    schema = pa.schema({"path": texts.type if once else pa.string()})
    with pq.ParquetWriter(folder / "huge.parquet", schema, use_dictionary=once, compression="zstd") as file:
        for part in [texts] if once else [texts[:100].dictionary_decode()] * 6:
            file.write_table(pa.table({"path": part}))
    assert (folder / "huge.parquet").stat().st_size < 50_000_000
    del texts
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ManifestError, match=message):
        read(folder / "huge.parquet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 200_000  # KiB


@pytest.mark.parametrize("path", [["a.wav"], {"a": "a.wav"}])
def test_a_parquet_column_of_lists_is_refused(folder, path):
    pq.write_table(pa.table({"path": [path], "label": ["sad"], "path.old": ["x"]}), folder / "lists.parquet")
    with pytest.raises(ManifestError, match="path holds lists"):
        manifest.read(folder / "lists.parquet")


def test_two_parquet_columns_of_one_name_are_refused(folder):
    table = pa.Table.from_arrays([pa.array(["a.wav"])] * 2, names=["path", "path"])
    pq.write_table(table, folder / "twice.parquet")
    with pytest.raises(ManifestError, match="path"):
        manifest.read_paths(folder / "twice.parquet")
