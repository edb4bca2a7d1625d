"""Ratings in a table: ranges, empty cells, and what cannot be used."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocatcher.corpora import joined, manifest
from emocatcher.corpora.table import Corpus, Utterance, ratings
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import CorpusError, ManifestError

CELLS = [("a.wav", "happy", 6.5, -0.5), ("b.wav", "sad", 2, None), ("c.wav", "sad", None, 1)]


def read(folder: Path, name: str, header: str = "arousal[1:7]", cells: list[object] | None = None) -> Corpus:
    rows = [(path, label, a, v) for path, label, a, v in CELLS]
    if cells is not None:
        rows = [(path, label, a, v) for (path, label, _, v), a in zip(CELLS, cells, strict=True)]
    names, table = ("path", "label", header, "valence[-1:1]"), folder / name
    if name.endswith(".csv"):
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in (names, *rows)]
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif name.endswith(".jsonl"):
        lines = [json.dumps({n: c for n, c in zip(names, row, strict=True) if c is not None}) for row in rows]
        table.write_text("\n".join(lines), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), table)
    return manifest.read(table, to_check=True)


@pytest.mark.parametrize("name", ["mine.csv", "mine.jsonl", "mine.parquet"])
def test_every_format_gives_the_same_ratings(tmp_path: Path, name: str) -> None:
    corpus = read(tmp_path, name)
    assert corpus.dimensions == (Dimension("arousal", 1, 7), Dimension("valence", -1, 1))
    assert [u.dimensions for u in corpus] == [
        (("arousal", 6.5), ("valence", -0.5)),
        (("arousal", 2),),
        (("valence", 1),),
    ]
    found = ratings(corpus.utterances, corpus.dimensions)
    np.testing.assert_array_equal(found, [[6.5, -0.5], [2, np.nan], [np.nan, 1]])
    assert not corpus.notes


def test_without_a_range_it_is_that_of_the_ratings_and_a_note_names_it(tmp_path: Path) -> None:
    corpus = read(tmp_path, "mine.csv", "Arousal")
    assert corpus.dimensions[0] == Dimension("arousal", 2, 6.5)
    (note,) = corpus.notes
    assert "arousal is that of its ratings, 2 to 6.5" in note


def test_a_column_without_ratings_is_noted(tmp_path: Path) -> None:
    corpus = read(tmp_path, "mine.csv", cells=[None, None, None])
    assert [one.name for one in corpus.dimensions] == ["valence"]
    assert corpus.notes == ("the column arousal[1:7] has no ratings",)


@pytest.mark.parametrize(
    ("header", "cells", "row", "words"),
    [
        ("arousal[7:1]", [2, 3, 4], 1, "such as arousal[1:7]"),
        ("arousal[1:1]", [1, 1, 1], 1, "such as arousal[1:7]"),
        ("arousal[1-7]", [2, 3, 4], 1, "such as arousal[1:7]"),
        ("arousal[1:nan]", [2, 3, 4], 1, "such as arousal[1:7]"),
        ("arousal[1:1e300]", [2, 3, 4], 1, "such as arousal[1:7]"),
        ("arousal[1:7]", [2, 8, 4], 3, "arousal is 8, outside the range 1 to 7"),
        ("arousal[1:7]", [2, "high", 4], 3, "arousal is 'high'. Give a number"),
        ("arousal", [2, "nan", 4], 3, "arousal is 'nan'. Give a number"),
        ("arousal", [2, "inf", 4], 3, "arousal is 'inf'. Give a number"),
        ("arousal[1:7]", [None, 4, 4], 3, "arousal is 4, and so are all ratings"),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_row(
    tmp_path: Path, header: str, cells: list[object], row: int, words: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, "mine.csv", header, cells)
    assert f"mine.csv, row {row}: " in str(caught.value)
    assert words in str(caught.value)


def test_two_columns_of_one_dimension_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("path,label,arousal,arousal[1:7]\na.wav,sad,1,2\nb.wav,sad,2,3\n")
    with pytest.raises(ManifestError, match="two columns for arousal"):
        manifest.read(tmp_path / "mine.csv", to_check=True)


def one_corpus(name: str, high: float, rating: float) -> Corpus:
    utterance = Utterance(id="a", path=Path("a.wav"), emotion="sad", dimensions=(("arousal", rating),))
    dimensions = (Dimension("arousal", 1, high),)
    return Corpus(name=name, utterances=(utterance,), labels=("sad",), dimensions=dimensions)


def test_a_rating_outside_the_range_of_its_corpus_is_refused() -> None:
    with pytest.raises(CorpusError, match="arousal 6, outside the ranges"):
        one_corpus("x", 5, 6.0)


def test_joined_corpora_have_one_range_and_a_note_names_what_was_converted() -> None:
    corpus = joined.join([one_corpus("x", 7, 6.0), one_corpus("y", 5, 5.0)], {})
    assert corpus.dimensions == (Dimension("arousal", 1, 7),)
    assert [u.dimensions for u in corpus] == [(("arousal", 6.0),), (("arousal", 7.0),)]
    assert corpus.notes == ("y: arousal is converted from 1 … 5 to 1 … 7",)


def test_ratings_of_recordings_without_a_label_are_counted_in_a_note(tmp_path: Path) -> None:
    lines = ["path,label,arousal[1:7]", "a.wav,sad,2", "b.wav,happy,3", "c.wav,,4", "d.wav,,"]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    corpus = manifest.read(tmp_path / "mine.csv", to_check=True)
    assert len(corpus) == 2
    assert "the ratings of recordings without a label are not used: 1" in corpus.notes
