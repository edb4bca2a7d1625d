"""Read text tables as spreadsheets save them: UTF-8 or UTF-16; commas, semicolons or tabs; a first line `sep=;`."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import ManifestError

_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)


def encoding_of(begin: bytes) -> str:
    """Return the encoding of a text that begins so: UTF-16 by its byte order mark or a zero byte, UTF-8 otherwise.

    Examples:
        >>> encoding_of("a".encode("utf-16")), encoding_of("a".encode("utf-16-be")), encoding_of(b"a")
        ('utf-16', 'utf-16-be', 'utf-8-sig')
    """
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return {(True, False): "utf-16-be", (False, True): "utf-16-le"}.get(
        (begin[:1] == b"\0", begin[1:2] == b"\0"), "utf-8-sig"
    )


class CsvRows:
    r"""The rows of CSV with a header; empty rows are left out.

    Args:
        lines: of the text, with their line breaks.
        name: of the table, for messages.
        spell: returns a column's name as it is compared, such as in lower case.

    Attributes:
        columns: as the header names them, without blanks around them.
        n_cells: how many cells the last row had.

    Raises:
        ManifestError: here or during iteration, if the lines are not CSV, a column occurs twice, or a row has more
            cells than there are columns.

    Examples:
        >>> list(CsvRows(["sep=;\n", "path;label\n", "a.wav;sad\n"], "a.csv"))
        [(3, {'path': 'a.wav', 'label': 'sad'})]
    """

    def __init__(self, lines: Iterable[str], name: str, spell: Callable[[str], str] = str) -> None:
        self._name, self._n_before, self.n_cells = name, 0, 0
        separator, header, rest = "", "", iter(lines)
        for header in rest:
            if marked := _SEPARATOR_LINE.fullmatch(header):
                separator = marked[1]
            elif header.strip():
                break
            self._n_before += 1
        else:
            header = ""
        separator = separator or max(",;\t", key=header.count)
        self._reader = csv.reader(itertools.chain([header], rest), delimiter=separator, strict=True)
        self.columns = [spell(csv_cells.unmarked(column.strip())) for column in self._next() or []]
        if twice := [column for column, n in Counter(self.columns).items() if n > 1 and column]:
            raise ManifestError(f"{name} has the column '{twice[0]}' twice. Rename or remove one of them.")

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        while (cells := self._next()) is not None:
            if not any(cell.strip() for cell in cells):
                continue
            self.n_cells = len(cells)
            if len(cells) > len(self.columns):
                raise self._fault(
                    f"{len(cells)} cells for {len(self.columns)} columns ({', '.join(self.columns[:12])}). "
                    "Put cells that contain the separator in double quotes."
                )
            # Some programs omit empty cells at the end of a row.
            whole = [*map(csv_cells.unmarked, cells), *[""] * (len(self.columns) - len(cells))]
            yield self._n_before + self._reader.line_num, dict(zip(self.columns, whole, strict=True))

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise self._fault(f"not CSV: {error}. Correct the row.") from None

    def _fault(self, what: str) -> ManifestError:
        return ManifestError(f"{self._name}, row {self._n_before + self._reader.line_num}: {what}")
