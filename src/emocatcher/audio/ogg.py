"""Find out from an Ogg file's pages what decoders do not report: a missing end, a late start."""

from __future__ import annotations

import os
from typing import BinaryIO

_LARGEST_PAGE = 27 + 255 + 255 * 255  # bytes, of an Ogg page
_OPUS_RATE = 48_000  # Hz; of the positions of all Opus files
_TOLERANCE_S = 0.001  # positions of samples are rounded


def breaks_off(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is incomplete, or what follows it is no page (RFC 3533).

    A file that ends with a complete page is taken as complete: many programs do not mark the last one.

    Args:
        file: open at any position, which changes.

    Examples:
        >>> import io
        >>> page = b"OggS" + bytes(22) + bytes([1, 5]) + b"sound"
        >>> last = page[:5] + bytes([4]) + page[6:]  # it has the mark of the last page
        >>> [breaks_off(io.BytesIO(page + end)) for end in (page, page[:-1], bytes(9), last + bytes(9))]
        [False, True, True, False]
    """
    end, is_marked = last_end(file)
    size = file.seek(0, os.SEEK_END)
    return end > size or (end < size and not is_marked)


def last_end(file: BinaryIO) -> tuple[int, bool]:
    """Return the end of the last page, and whether it has the mark of a recording's last page; the file's if none."""
    position, page = _last_page(file)
    if len(page) < 27 or len(page) < 27 + page[26]:
        return file.seek(0, os.SEEK_END) + bool(page), False
    return position + 27 + page[26] + sum(page[27 : 27 + page[26]]), page[5] & 4 > 0


def starts_late(file: BinaryIO, duration_s: float) -> bool:
    """Whether the time of an Opus file does not begin at zero, as of a dump of a stream that was joined late.

    libsndfile does not leave out an encoder's delay at the beginning of such a file (RFC 7845).

    Args:
        file: open at any position, which changes.
        duration_s: of the recording, without the time before its beginning.
    """
    file.seek(0)
    head = file.read(_LARGEST_PAGE)
    at = head.find(b"OpusHead")
    _, page = _last_page(file)
    if at < 0 or len(page) < 27:
        return False
    n_skipped = int.from_bytes(head[at + 10 : at + 12], "little")
    end = int.from_bytes(page[6:14], "little", signed=True) - n_skipped
    return abs(end / _OPUS_RATE - duration_s) > _TOLERANCE_S


def _last_page(file: BinaryIO) -> tuple[int, bytes]:
    """Return the position and the header of the last page; no bytes if there is none."""
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(start - _LARGEST_PAGE, 0)
        file.seek(start)
        found = file.read(end - start + 3).rfind(b"OggS")
        if found >= 0:
            file.seek(start + found)
            return start + found, file.read(27 + 255)
    return 0, b""
