"""A part of a file that is elsewhere."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

BLOCK = 1 << 22  # bytes that are read at a time


class Part(NamedTuple):
    """Bytes that were read from some position."""

    content: bytes
    size: int | None  # bytes of the whole file; None if it is not known yet
    tag: str = ""  # differs once the content has changed; "" if the server gives none
    whole: BinaryIO | None = None  # the whole file, if the server knows no parts; the content is then empty
