"""Votes of listeners in a table: what is read, what is refused, and which label they give."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from emocatcher import corpora
from emocatcher.corpora import manifest, votes
from emocatcher.foundation.errors import ManifestError


def write(folder, *cells, header="path,label,votes,id", name="t.csv"):
    """A table with one row for each (label, votes)."""
    (folder / "a.wav").touch()
    lines = [header, *(f'a.wav,{label},"{vote}",{number}' for number, (label, vote) in enumerate(cells))]
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name


def test_every_format_gives_the_same_votes(tmp_path):
    (tmp_path / "a.wav").touch()
    rows = [{"path": "a.wav", "id": "1", "votes": "angry=3,sad=1"}, {"path": "a.wav", "id": "2", "label": "sad"}]
    (tmp_path / "t.csv").write_text('path,id,label,votes\na.wav,1,,"angry=3, sad = 1"\na.wav,2,sad,\n')
    (tmp_path / "s.csv").write_text('path;id;label;votes\na.wav;1;;"angry=3;sad=1"\na.wav;2;sad;\n')
    objects = [rows[0] | {"votes": {"angry": 3, "sad": 1}}, rows[1] | {"votes": None}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, objects)))
    texts = pa.schema([(column, pa.string()) for column in ("path", "id", "label", "votes")])
    pq.write_table(pa.Table.from_pylist(rows, schema=texts), tmp_path / "t.parquet")
    for name in ("t.csv", "s.csv", "t.jsonl", "t.parquet"):
        found = manifest.read(tmp_path / name)
        assert [one.votes for one in found] == [(("angry", 0.75), ("sad", 0.25)), None], name
        assert [one.emotion for one in found] == ["angry", "sad"], name
        assert found.labels == ("sad", "angry")
        assert found.notes == ()


def test_a_table_may_have_votes_alone(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "t.csv").write_text("path,votes,id\na.wav,angry=0.7;sad=0.3,1\na.wav,sad=1,2\n")
    assert [one.emotion for one in manifest.read(tmp_path / "t.csv")] == ["angry", "sad"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("angry=lots", "the votes for 'angry' are 'lots', not a number of 0 or more"),
        ("angry=-1,sad=2", "'angry' are '-1'"),
        ("angry=nan", "'angry' are 'nan'"),
        ("angry=inf", "'angry' are 'inf'"),
        ("angry=1e999", "'angry' are '1e999'"),
        ("angry=0.7.1", "'0.7.1'"),
        ("angry=", "'angry' are ''"),
        ("angry=0,sad=0", "all votes are 0"),
        ("angry", "'angry' in the votes has no number"),
        ("3", "'3' in the votes has no number"),
        ("angry=0,7", "'7' in the votes has no number. Give votes such as angry=3,sad=2: .* decimal point"),
        ("=3", "a vote of '3' has no label"),
        ("angry=1,angry=2", "'angry' occurs twice"),
        (",;", "all votes are 0"),
    ],
)
def test_votes_that_cannot_be_used_are_refused_with_file_and_row(tmp_path, cell, words):
    path = write(tmp_path, ("sad", ""), ("happy", cell))
    with pytest.raises(ManifestError, match=f"t.csv, row 3: .*{words}") as caught:
        manifest.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value", [{"angry": "lots"}, {"angry": True}, {"angry": None}, {"angry": [1]}, {"angry": 10**400}, {"": 1}, [1, 2]]
)
def test_objects_of_votes_that_cannot_be_used_are_refused_with_file_and_row(tmp_path, value):
    (tmp_path / "a.wav").touch()
    (tmp_path / "t.jsonl").write_text(json.dumps({"path": "a.wav", "label": "sad", "votes": value}))
    with pytest.raises(ManifestError, match=r"t\.jsonl, row 1: .*vote"):
        manifest.read(tmp_path / "t.jsonl")


def test_a_column_of_objects_in_parquet_is_refused(tmp_path):
    pq.write_table(pa.table({"path": ["a.wav"], "votes": [{"angry": 1}]}), tmp_path / "t.parquet")
    with pytest.raises(ManifestError, match="votes holds lists or the like"):
        manifest.read(tmp_path / "t.parquet")
    assert manifest.read_paths(tmp_path / "t.parquet") == ["a.wav"]  # they are not read for recognition


@example({"a": 5e-324, "b": 1.0, "c": 1e308})
@given(st.dictionaries(st.text("abc", min_size=1), st.floats(0, allow_infinity=False), min_size=1))
def test_shares_are_positive_and_sum_to_1(counts):
    assume(any(counts.values()))
    found = votes.parse(dict(counts))
    assert math.fsum(share for _, share in found) == pytest.approx(1.0)
    assert all(share > 0 for _, share in found)


def test_ties_are_counted_and_the_first_label_in_order_is_taken(tmp_path):
    path = write(tmp_path, ("", "sad=2,happy=2,angry=1"), ("", "zeal=1,awe=1"), ("", "angry=2,sad=1"), ("", "sad=1"))
    found = manifest.read(path)
    assert [one.emotion for one in found] == ["happy", "awe", "angry", "sad"]
    assert found.notes[0].startswith("the votes of 2 recordings are tied")


def test_a_given_label_is_kept_and_the_difference_noted(tmp_path):
    found = manifest.read(write(tmp_path, ("sad", "angry=3,sad=2"), ("angry", "angry=1,sad=1")))
    assert [one.emotion for one in found] == ["sad", "angry"]
    (note,) = found.notes
    assert note.startswith("1 recording has a label that is not the one with most votes: the label is scored")


def test_votes_for_labels_that_no_recording_has_are_left_out_and_counted(tmp_path):
    found = manifest.read(write(tmp_path, ("", "angry=3,other=1,sad=1"), ("", "sad=2,other=1"), ("sad", "other=5")))
    assert found.labels == ("sad", "angry")
    assert found.utterances[0].votes == (("angry", pytest.approx(0.75)), ("sad", pytest.approx(0.25)))
    assert [one.votes for one in found.utterances[1:]] == [(("sad", 1.0),), None]
    assert "votes for labels that no recording has are left out: 'other' (3 recordings)" in found.notes


def test_spellings_of_one_label_are_joined_among_votes(tmp_path):
    found = manifest.read(write(tmp_path, ("", "Anger=2,angry=1,sad=1"), ("SAD", "")))
    assert found.utterances[0].votes == (("angry", 0.75), ("sad", 0.25))
    assert found.labels == ("sad", "angry")


def test_recordings_without_a_label_are_held_apart(tmp_path):
    path = write(tmp_path, ("happy", ""), ("", ""), ("sad", ""), ("", ""))
    found = manifest.read(path)
    assert [one.id for one in found] == ["0", "2"]
    assert [one.id for one in found.unlabelled] == ["1", "3"]
    assert found.labels == ("happy", "sad")
    (note,) = found.notes
    assert note.startswith("2 recordings have no label")


def test_only_labelled_rows_need_a_speaker(tmp_path):
    header = "path,label,votes,id,speaker"
    (tmp_path / "a.wav").touch()
    (tmp_path / "t.csv").write_text(f"{header}\na.wav,happy,,1,x\na.wav,,,2,\na.wav,sad,,3,y\n")
    assert manifest.read(tmp_path / "t.csv").speakers == ("x", "y")


def test_a_table_without_any_label_names_what_to_do(tmp_path):
    with pytest.raises(ManifestError, match=r"all labels are empty .*adapt .*--unlabelled.*emocatcher label"):
        manifest.read(write(tmp_path, ("", ""), (" ", "")))


def test_joined_tables_keep_votes_and_recordings_without_a_label(tmp_path):
    write(tmp_path, ("", "Annoyed=3,sad=1"), ("", ""), ("SAD", ""), name="a.csv")
    write(tmp_path, ("annoyed", ""), ("annoyed", ""), ("sad", ""), name="b.csv")
    found = corpora.load(f"{tmp_path}/a.csv,{tmp_path}/b.csv")
    assert found.labels == ("sad", "annoyed")
    assert found.utterances[0].votes == (("annoyed", 0.75), ("sad", 0.25))
    assert [one.id for one in found.unlabelled] == ["a/1"]


def test_a_sentence_counts_the_recordings_with_votes(tmp_path):
    found = manifest.read(write(tmp_path, ("", "angry=2,sad=1"), ("sad", "")))
    assert votes.described(found.utterances).startswith("Training took the votes of listeners on 1 of 2 recordings")
    assert votes.described(found.utterances[1:]) == ""


def test_the_digest_is_of_votes_alone_and_in_any_order(tmp_path):
    def digest(*cells):
        return votes.digest(manifest.read(write(tmp_path, *cells)))

    first = digest(("happy", "happy=2,sad=1"), ("sad", ""))
    assert first == digest(("happy", "sad=1;happy=2"), ("sad", ""))
    assert first != digest(("happy", "happy=3,sad=1"), ("sad", ""))
    assert digest(("happy", ""), ("sad", "")) == ""
