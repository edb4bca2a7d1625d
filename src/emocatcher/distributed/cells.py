"""Cells of a column of recordings: paths, URIs, the bytes of files, and the structs of Hugging Face's datasets."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from emocatcher import audio
from emocatcher.audio.sources import path_of
from emocatcher.foundation import uris
from emocatcher.foundation.errors import UriError
from emocatcher.recognition.prediction import Failure

_MISSING = {"NAType", "NaTType"}  # of pandas, which is not imported here


def source_of(cell: object) -> audio.Source | Failure:
    """Return the recording in a cell, or the failure of a cell that holds none.

    Args:
        cell: a path, a URI, the bytes of a file, or a mapping with `bytes` and `path`, or with `array` and
            `sampling_rate`.

    Examples:
        >>> source_of({"bytes": b"RIFF", "path": "a.wav"}), source_of(float("nan")).error
        (b'RIFF', 'EmptyCell')
    """
    name = name_of(cell)
    fields = _fields(cell)
    if fields is not None:
        if fields.get("array") is not None:
            return fields["array"], fields.get("sampling_rate", 0)
        cell = fields["bytes"] if fields.get("bytes") is not None else fields.get("path")
    if _is_empty(cell):
        message = "the cell is empty: it holds no recording. Give a path, a URI or the bytes of a file"
        return Failure(path=name, error="EmptyCell", message=message)
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    if isinstance(cell, str | os.PathLike):
        return _from_here(os.fspath(cell))
    message = f"{type(cell).__name__} is not a recording. Give a path, a URI or the bytes of a file"
    return Failure(path=name, error="TypeError", message=message)


def name_of(cell: object) -> str:
    """Return the path in a cell as given, or its URI without anything secret; "" for bytes without a path."""
    fields = _fields(cell)
    path = cell if fields is None else fields.get("path")
    return path_of(path)


def without_sound(cell: Any) -> Any:
    """Return a cell without the bytes or samples of its recording."""
    fields = _fields(cell)
    if fields is not None:
        return {name: None if name in ("bytes", "array") else value for name, value in fields.items()}
    return None if isinstance(cell, bytes | bytearray | memoryview) else cell


def without_secrets(cell: Any) -> Any:
    """Return a cell without the query of a URI, which may be a signature or a token."""
    fields = _fields(cell)
    if fields is not None and isinstance(fields.get("path"), str):
        return {**fields, "path": uris.redacted(fields["path"])}
    return uris.redacted(cell) if isinstance(cell, str) else cell


def _fields(cell: Any) -> Mapping[str, Any] | None:
    """Return the fields of a struct; Spark's rows are tuples with names."""
    if isinstance(cell, Mapping):
        return cell
    return cell.asDict() if isinstance(cell, tuple) and hasattr(cell, "asDict") else None


def _is_empty(cell: object) -> bool:
    if cell is None or type(cell).__name__ in _MISSING or (isinstance(cell, str) and not cell.strip()):
        return True
    return isinstance(cell, Real) and math.isnan(cell)


def _from_here(path: str | bytes) -> str | bytes:
    """Return what another process on this machine can read: it has its own memory, and may have another folder."""
    text = os.fsdecode(path)
    if uris.is_uri(text) and uris.scheme_of(text) == "memory":
        with contextlib.suppress(UriError):  # the other process fails with the same reason
            return uris.read_bytes(text, uris.LARGEST)
    return text if "://" in text else str(Path(text).absolute())  # also with a scheme that cannot be read
