"""Find out from a file's last bytes whether its end is missing, for formats whose decoders do not report it."""

from __future__ import annotations

import os
from typing import BinaryIO

_TAGS = (b"TAG", b"APETAGEX", b"LYRICS", b"ID3")  # what music programs write after the last frame
_LARGEST_PAGE = 27 + 255 + 255 * 255  # bytes, of an Ogg page
_BLOCKS = (0xA3, 0xA1)  # identifiers of SimpleBlock and Block, in Matroska
_KBIT = {
    "1-2": (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "1-3": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "2": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def is_tag(content: bytes) -> bool:
    """Whether bytes after the last frame are a tag: they are no sound, so nothing is lost.

    Examples:
        >>> is_tag(b"TAGTitle"), is_tag(bytes(8))
        (True, False)
    """
    return content.startswith(_TAGS)


def mpeg_frame_length(frame: bytes, sample_rate: int) -> int:
    """Return the length in bytes that the header of an MP2 or MP3 frame declares; 0 if it declares none.

    The tables are those of ISO/IEC 11172-3 and 13818-3.

    Examples:
        >>> mpeg_frame_length(bytes.fromhex("fffb9000"), 44_100)
        417
    """
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0
    version_1, layer = frame[1] & 0x18 == 0x18, 4 - (frame[1] >> 1 & 3)
    if layer not in (2, 3) or frame[2] >> 4 == 15:
        return 0
    kbit = _KBIT[f"1-{layer}" if version_1 else "2"][frame[2] >> 4]
    samples_per_bit = 144 if version_1 or layer == 2 else 72
    return samples_per_bit * kbit * 1000 // sample_rate + (frame[2] >> 1 & 1) if kbit else 0


def mpeg_declares_length(file: BinaryIO) -> bool:
    """Whether the first frame of an MP3 file is the one that declares the number of all frames.

    Args:
        file: open at its beginning; the position changes.

    Examples:
        >>> import io
        >>> mpeg_declares_length(io.BytesIO(bytes(36) + b"Xing")), mpeg_declares_length(io.BytesIO(bytes(99)))
        (True, False)
    """
    head = file.read(10)
    tag_length = 10 + sum((head[6 + i] & 127) << 7 * (3 - i) for i in range(4)) if head[:3] == b"ID3" else 0
    file.seek(tag_length)
    frame = file.read(256)
    return any(marker in frame for marker in (b"Xing", b"Info", b"VBRI"))


def ogg_breaks_off(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is incomplete, or what follows it is no page (RFC 3533).

    A file that ends with a complete page is taken as complete: many programs do not mark the last one.

    Args:
        file: open at any position, which changes.

    Examples:
        >>> import io
        >>> page = b"OggS" + bytes(22) + bytes([1, 5]) + b"sound"
        >>> last = page[:5] + bytes([4]) + page[6:]  # it has the mark of the last page
        >>> [ogg_breaks_off(io.BytesIO(page + end)) for end in (page, page[:-1], bytes(9), last + bytes(9))]
        [False, True, True, False]
    """
    size = start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(start - _LARGEST_PAGE, 0)
        file.seek(start)
        found = file.read(end - start + 3).rfind(b"OggS")
        if found >= 0:
            file.seek(start + found)
            page = file.read(27 + 255)
            if len(page) < 27 or len(page) < 27 + page[26]:
                return True
            length = 27 + page[26] + sum(page[27 : 27 + page[26]])
            return start + found + length > size or (start + found + length < size and not page[5] & 4)
    return False


def ogg_is_chained(file: BinaryIO) -> bool:
    """Whether an Ogg file contains several recordings, one after the other: a first page follows one that is not first.

    Args:
        file: open at any position, which changes.

    Examples:
        >>> import io
        >>> first, other = b"OggS" + bytes([0, 2]), b"OggS" + bytes([0, 0])
        >>> [ogg_is_chained(io.BytesIO(content)) for content in (first + first + other, first + other + first)]
        [False, True]
    """
    file.seek(0)
    content, is_behind = b"", False
    while part := file.read(1 << 20):
        content = content[-5:] + part
        start = 0
        if not is_behind:
            start = min((k for k in (content.find(b"OggS\0\0"), content.find(b"OggS\0\1")) if k >= 0), default=-1)
            is_behind = start >= 0
        if is_behind and content.find(b"OggS\0\2", start) >= 0:
            return True
    return False


def matroska_breaks_off(file: BinaryIO, position: int) -> bool:
    """Whether the elements from the last block of a Matroska or WebM file on are incomplete (RFC 8794, RFC 9559).

    Args:
        file: open at any position, which changes.
        position: of the last block's content, in bytes.

    Examples:
        >>> import io
        >>> block = bytes([0xA3, 0x84]) + b"data"
        >>> [matroska_breaks_off(io.BytesIO(block + block[:n]), 2) for n in (6, 3, 1, 0)]
        [False, True, True, False]
    """
    size = file.seek(0, os.SEEK_END)
    n_before = min(position, 9)
    file.seek(position - n_before)
    before = file.read(n_before)
    for n_bytes in range(1, n_before):  # the bytes of the block's length; its identifier is in front
        if before[-1 - n_bytes] in _BLOCKS and 9 - before[-n_bytes].bit_length() == n_bytes:
            position += _length(before[-n_bytes:])
            break
    else:
        return False
    while position < size:
        file.seek(position)
        head = file.read(12)
        n_id = 9 - head[0].bit_length()
        if n_id > 4:
            return True  # not an element
        n_bytes = 9 - head[n_id].bit_length() if len(head) > n_id else 9
        if n_bytes > 8 or len(head) < n_id + n_bytes:
            return len(head) < 12
        length = _length(head[n_id : n_id + n_bytes])
        # Of an element of unknown length, all bits are 1, and the elements inside follow.
        position += n_id + n_bytes + (0 if length + 1 == 1 << 7 * n_bytes else length)
    return position > size


def _length(content: bytes) -> int:
    """Return an element's length, without the bit that marks the number of its bytes."""
    return int.from_bytes(content, "big") & ((1 << 7 * len(content)) - 1)
