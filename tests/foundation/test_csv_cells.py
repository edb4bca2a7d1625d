"""No cell of a table begins like a formula, and every text is read back as it was written."""

import csv
import io

import pytest

from emocatcher.foundation import csv_cells

FORMULAS = [f"{start}cmd|' /C calc'!A0" for start in "=+-@\t\r\n＝＋－＠"]  # noqa: RUF001
TEXTS = [*FORMULAS, *(f"'{text}" for text in FORMULAS), *(f"''{text}" for text in FORMULAS)]
TEXTS += ["", "'", "''", "'tis.wav", "a=b", " =1", "a,b", 'a"b', "a\nb", "'a", "ä.wav", "\U0001f600"]


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_is_read_back(text):
    assert list(csv_cells.read_rows(io.StringIO(csv_cells.write_rows([(text, "x")]), newline=""))) == [[text, "x"]]


@pytest.mark.parametrize("text", TEXTS)
def test_a_spreadsheet_finds_no_formula(text):
    ((found, _),) = csv.reader(io.StringIO(csv_cells.write_rows([(text, "x")]), newline=""))
    assert not found.startswith(tuple("=+-@\t\r\n＝＋－＠"))  # noqa: RUF001


def test_other_texts_and_numbers_stay_as_they_are():
    assert csv_cells.write_rows([("a.wav", "'tis.wav", -0.5, -3, None, True)]) == "a.wav,'tis.wav,-0.5,-3,,true\n"
