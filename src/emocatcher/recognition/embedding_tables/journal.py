"""The rows of a table of embeddings while it grows: each a line of JSON, and behind it the values of its vector.

Parquet and NumPy's files cannot be appended to, so the table is written from its journal, in constant memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import OutputError

_ITEM_SIZE = 4  # bytes of a value


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row without its vector."""

    path: str
    channel: int | None = None
    duration_s: float | None = None
    error: str | None = None
    message: str | None = None
    model: str
    model_version: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: what a resumed batch must have too."""

    model: str
    onnx_sha256: str
    channels: str
    schema: int = 1


class _Line(msgspec.Struct, frozen=True):
    row: Row
    n_values: int


class Journal:
    """A journal on disk.

    Args:
        out: the table.
    """

    def __init__(self, out: Path) -> None:
        self.path, self._out = out.with_name(f".{out.name}.journal"), out

    def begin(self, header: Header) -> None:
        """Write a journal without rows.

        Raises:
            OSError: if it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(msgspec.json.encode(header) + b"\n")

    def check(self, header: Header) -> None:
        """Check that the rows were made as those of this batch.

        Raises:
            OutputError: if not.
        """
        with self.path.open("rb") as file:
            try:
                before = msgspec.json.decode(file.readline(), type=Header)
            except msgspec.DecodeError as error:
                raise OutputError(f"{self.path} cannot be read ({error}). Give --overwrite to start again") from None
        for name in Header.__struct_fields__:
            was, is_now = getattr(before, name), getattr(header, name)
            if was != is_now:
                raise OutputError(
                    f"{self._out} was started with {name} = {was}, and this is {is_now}. Give the same, or --overwrite"
                )

    def append(self, rows: list[tuple[Row, NDArray[np.float32] | None]]) -> None:
        """Add rows, in one go.

        Raises:
            OSError: if they cannot be written.
        """
        content = b""
        for row, vector in rows:
            values = b"" if vector is None else np.asarray(vector, "<f4").tobytes()
            content += msgspec.json.encode(_Line(row, len(values) // _ITEM_SIZE)) + b"\n" + values
        with self.path.open("ab") as file:
            file.write(content)

    def rows(self) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
        """Yield the rows; one that a kill cut off ends them."""
        for row, vector, _ in self._entries():
            yield row, vector

    def cut(self) -> list[Row]:
        """Remove what a kill left of an incomplete row at the end, and return the rows."""
        with self.path.open("rb") as file:
            end = len(file.readline())
        found = []
        for row, _, after in self._entries():
            found.append(row)
            end = after
        with self.path.open("r+b") as file:
            file.truncate(end)
        return found

    def remove(self) -> None:
        """Remove the journal."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _entries(self) -> Iterator[tuple[Row, NDArray[np.float32] | None, int]]:
        with self.path.open("rb") as file:
            file.readline()
            while (line := file.readline()).endswith(b"\n"):
                try:
                    entry = msgspec.json.decode(line, type=_Line)
                except msgspec.DecodeError as error:
                    raise OutputError(f"{self.path} is damaged ({error}). Give --overwrite to start again") from None
                values = file.read(entry.n_values * _ITEM_SIZE)
                if len(values) < entry.n_values * _ITEM_SIZE:
                    return
                vector = np.frombuffer(values, "<f4").astype(np.float32) if entry.n_values else None
                yield entry.row, vector, file.tell()
