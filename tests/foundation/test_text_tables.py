"""Tables that spreadsheets save are read, and errors name the row as an editor counts it."""

import pytest

from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import ManifestError
from emocatcher.foundation.text_tables import CsvRows


def rows(text):
    return list(CsvRows(text.splitlines(keepends=True), "t.csv"))


@pytest.mark.parametrize(
    ("begin", "separator"),
    [
        ("", ","),
        ("", ";"),
        ("", "\t"),
        ("sep=;\n", ";"),
        ('"sep=,"\r\n', ","),
        ("SEP=\t\n", "\t"),
        ("\n \nsep=|\n", "|"),
    ],
)
def test_the_separator_is_that_of_the_first_line_or_of_the_header(begin, separator):
    first = begin.count("\n")
    text = begin + separator.join("ab") + "\n\n" + separator.join("12") + "\n3\n"
    assert rows(text) == [(first + 3, {"a": "1", "b": "2"}), (first + 4, {"a": "3", "b": ""})]


def test_header_and_cells_that_look_like_formulas_are_read_as_they_were_before_they_were_written():
    header, cells = ["=a", "b"], ["@home", "-c"]
    assert rows(csv_cells.write_rows([header, cells])) == [(2, dict(zip(header, cells, strict=True)))]


@pytest.mark.parametrize("line", ["sep=", "sep=x", "sep=;;", "separator=;", 'sep="'])
def test_a_first_line_that_names_no_separator_is_the_header(line):
    assert CsvRows([line + "\n", "1\n"], "t.csv").columns[0].startswith("sep")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('sep=;\na;b\n1;"2\n', "t.csv, row 3: not CSV"),
        ("a,b\n\n1,2,3\n", r"t.csv, row 3: 3 cells for 2 columns \(a, b\)"),
        ("a, a\n1,2\n", "t.csv has the column 'a' twice"),
        ('"a,b\n', "t.csv, row 1: not CSV"),
    ],
)
def test_an_error_names_the_row(text, message):
    with pytest.raises(ManifestError, match=message):
        rows(text)


@pytest.mark.parametrize("text", ["", "\n\n", "sep=;\n"])
def test_a_text_without_a_header_has_no_columns_and_no_rows(text):
    assert (CsvRows(text.splitlines(keepends=True), "t.csv").columns, rows(text)) == ([], [])
