"""Find out whether a file's end is missing, for formats whose decoders do not report it."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

_SECTOR = 4096  # bytes; so many zeros are padding in any file
_PART = 1 << 20  # bytes read at a time
_MOST_TAGS = 16  # more are no padding
_BLOCKS = (0xA3, 0xA1)  # identifiers of SimpleBlock and Block, in Matroska
_KBIT = {
    "1-2": (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "1-3": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "2": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def is_padding(content: bytes, *, of_any_length: bool = True) -> bool:
    """Whether bytes are zeros or tags of music programs: they are no sound, so nothing is lost.

    Args:
        content: what follows the last frame.
        of_any_length: whether more zeros than a sector's are padding too.

    Examples:
        >>> is_padding(b"TAGTitle"), is_padding(bytes(9999)), is_padding(bytes(9999), of_any_length=False)
        (True, True, False)
    """
    return padding_end(io.BytesIO(content), 0, of_any_length=of_any_length) >= len(content)


def padding_end(file: BinaryIO, start: int, *, of_any_length: bool = True) -> int:
    """Return the position behind the zeros and tags that begin at `start`; see `is_padding`."""
    n_tags = 0
    while n_tags < _MOST_TAGS:
        file.seek(start)
        part = file.read(_PART)
        n_zeros = len(part) - len(part.lstrip(b"\0"))
        n_tag = tag_length(part[n_zeros : n_zeros + 32])
        if (n_zeros > _SECTOR and not of_any_length) or not n_zeros + n_tag:
            break
        start += n_zeros + n_tag
        n_tags += n_tag > 0
    return start


def tag_length(head: bytes) -> int:
    """Return the length in bytes of a tag of music programs, given its first 32 bytes; 0 if it is none."""
    if head[:3] == b"ID3":
        return 10 + sum((byte & 127) << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
    if head[:8] == b"APETAGEX":
        return 32 + int.from_bytes(head[12:16], "little")
    return 128 if head[:3] == b"TAG" else len(head) if head[:6] == b"LYRICS" else 0


def is_placeholder(n_bytes: int) -> bool:
    """Whether a program that wrote to a pipe left this size, before it knew the length.

    Examples:
        >>> [is_placeholder(n) for n in (0xFFFFFFFF, 0x7FFFF024, 0x80000000, 0x7F000050, 3_000_000_000)]
        [True, True, True, True, False]
    """
    near = (0x7F000000, 0x7FFFF000, 0x80000000, 0xFFFFFFFF)  # sox writes AIFF with the first and WAV with the second
    return any(abs(n_bytes - size) <= _SECTOR for size in near) or n_bytes > near[-1]


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


def mpeg_declared_frames(file: BinaryIO) -> int:
    """Return the number of frames that the first frame of an MP3 file declares; 0 if it declares none.

    Args:
        file: open at its beginning; the position changes.

    Examples:
        >>> import io
        >>> first = bytes(36) + b"Xing" + bytes([0, 0, 0, 1]) + bytes([0, 0, 1, 0])
        >>> mpeg_declared_frames(io.BytesIO(first)), mpeg_declared_frames(io.BytesIO(bytes(99)))
        (256, 0)
    """
    file.seek(tag_length(file.read(32)))
    frame = file.read(256)
    for marker, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        if (at := frame.find(marker)) >= 0 and (marker == b"VBRI" or frame[at + 7] & 1):
            return int.from_bytes(frame[at + offset : at + offset + 4], "big")
    return 0


def is_avi_index(content: bytes) -> bool:
    """Whether an index, padding or the header of a further part of an AVI file begins, as between joined files.

    Examples:
        >>> is_avi_index(b"idx1" + bytes(12)), is_avi_index(b"00wb" + bytes(12))
        (True, False)
    """
    return content.lstrip(b"\0").startswith((b"idx1", b"ix", b"JUNK", b"LIST", b"RIFF"))


def matroska_breaks_off(file: BinaryIO, position: int, is_all: bool = False) -> bool:
    """Whether the elements from the last block of a Matroska or WebM file on are incomplete (RFC 8794, RFC 9559).

    Args:
        file: open at any position, which changes.
        position: of the last block's content, in bytes.
        is_all: whether all of the declared length was decoded, so that zeros behind it are padding.

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
        if tag_length(head):
            return False
        n_id = 9 - head[0].bit_length()
        if n_id > 4:
            return padding_end(file, position, of_any_length=is_all) < size  # not an element
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
