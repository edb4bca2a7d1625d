"""Cells of CSV tables: a spreadsheet would run a text that begins with = + - or @, so such a text gets a ' in front."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# The first characters that OWASP names ("CSV Injection"), with their full-width forms. Quotes in front of them belong
# to the pattern, so that a text which begins with '= in the first place is marked too, and reading removes one quote.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # noqa: RUF001


def write_rows(rows: Iterable[Sequence[Any]]) -> str:
    r"""Return the lines of CSV; a text that a spreadsheet would take for a formula gets a leading quote.

    Numbers stay as they are; true and false are written as in JSON. `read_rows` returns the same texts.

    Examples:
        >>> write_rows([("=1+1.wav", -0.5), ("a.wav", None)])
        "'=1+1.wav,-0.5\na.wav,\n"
    """
    text = io.StringIO()
    # The writer quotes only the line breaks of its own line ends, so these have both characters here.
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_marked(cell) for cell in row])
        text.seek(text.tell() - 2)
        text.write("\n")
        text.truncate()
    return text.getvalue()


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    r"""Yield the cells of each row of CSV that `write_rows` wrote.

    Raises:
        csv.Error: if the lines are not CSV.

    Examples:
        >>> list(read_rows(["'=1+1.wav,-0.5\n"]))
        [['=1+1.wav', '-0.5']]
    """
    for cells in csv.reader(lines):
        yield [unmarked(cell) for cell in cells]


def unmarked(cell: str) -> str:
    """Remove the quote that `write_rows` puts before a formula.

    Examples:
        >>> unmarked("'@home.wav"), unmarked("'tis.wav")
        ('@home.wav', "'tis.wav")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _marked(cell: Any) -> Any:
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
