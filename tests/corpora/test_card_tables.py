import pytest

from emocatcher.corpora import card_tables
from emocatcher.corpora.cards import CardTable
from emocatcher.foundation.errors import CorpusError


def read(tmp_path, content, **options):
    (tmp_path / "labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return card_tables.read(CardTable(**({"files": "*.csv", "key": "{file}"} | options)), tmp_path)


def test_keys_have_neither_folders_nor_suffixes_of_sound(tmp_path):
    rows, _ = read(tmp_path, "file,x\nwavs\\a.WAV,1\nb/c.d,2\ne.webm,3\n")
    assert list(rows) == ["a", "c.d", "e"]
    assert rows["a"] == {"file": "wavs\\a.WAV", "x": "1"}


def test_a_byte_order_mark_blank_lines_and_short_rows_do_no_harm(tmp_path):
    rows, _ = read(tmp_path, b"\xef\xbb\xbffile , x\na, 1\n\nb\n")
    assert rows == {"a": {"file": "a", "x": "1"}, "b": {"file": "b"}}


def test_rows_that_contradict_an_earlier_one_are_counted_and_the_first_counts(tmp_path):
    rows, n_contradicting = read(tmp_path, "file,x\na,1\na,1\na,2\n")
    assert rows["a"]["x"] == "1"
    assert n_contradicting == 1


@pytest.mark.parametrize(
    ("votes", "emotion"),
    [
        ("Sad,SAD,sad,angry,angry", "sad"),
        ("sad,sad,angry,angry,happy", "no majority"),
        ("sad,sad,,,", "no majority"),  # fewer than three
        (",,,,", "no majority"),
    ],
)
def test_the_majority_of_the_votes_is_the_emotion(tmp_path, votes, emotion):
    columns = tuple("12345")
    rows, _ = read(tmp_path, f"file,1,2,3,4,5\na,{votes}\n", votes=columns, least_votes=3)
    assert rows["a"]["emotion"] == emotion


@pytest.mark.parametrize(("cells", "emotion"), [("1,0", "sad"), ("0,1.0", "happy"), ("1,1", "no majority")])
def test_the_column_that_is_one_is_the_emotion(tmp_path, cells, emotion):
    rows, _ = read(tmp_path, f"file,sad,happy\na,{cells}\n", one_hot=("sad", "happy"))
    assert rows["a"]["emotion"] == emotion


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        ("name,x\na,1\n", {}, r"no column for \{file\}\. Its columns: name, x"),
        ("file,x\na,1\n", {"votes": ("y",)}, "no column 'y'"),
        ("file,x\n가,1\n".encode("cp949"), {}, "not in the encoding utf-8-sig"),
        ("[1]", {"json": True}, "not a JSON object"),
        ('{"a": ', {"json": True}, "not a JSON object"),
        ("file\n" + "a" * 200_000, {}, "not CSV"),
        ("", {"files": "*.tsv"}, r"no table \*\.tsv"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(tmp_path, content, options, problem):
    with pytest.raises(CorpusError, match=problem) as caught:
        read(tmp_path, content, **options)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_only_adds_fields_may_be_missing(tmp_path):
    assert read(tmp_path, "", files="*.tsv", optional=True) == ({}, 0)


def test_a_json_table_takes_the_first_entry_of_a_list_and_its_texts(tmp_path):
    content = '{"a.flac": [{"emo": "Sad", "score": [1]}], "b.flac": {"emo": "Happy"}, "c.flac": []}'
    rows, _ = read(tmp_path, content, json=True, key="{key}")
    assert {name: row.get("emo") for name, row in rows.items()} == {"a": "Sad", "b": "Happy", "c": None}


def test_a_line_that_the_expression_does_not_fit_is_no_row(tmp_path):
    rows, _ = read(tmp_path, "Head\n1, a1 ,sad\nnote\n", line=r"\d, (?P<file>\w+) ,(?P<x>\w+)")
    assert rows == {"a1": {"file": "a1", "x": "sad"}}


def test_hidden_copies_of_a_table_are_not_read(tmp_path):
    (tmp_path / "._labels.csv").write_bytes(b"\x00\x05\x16\x07\xff")  # as macOS writes
    assert list(read(tmp_path, "file\na\n")[0]) == ["a"]
