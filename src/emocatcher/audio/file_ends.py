"""Find out whether a file's end is missing, or more lies behind it, for formats whose decoders do not report it."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_SECTOR = 4096  # bytes; so many zeros are padding in any file
FEWEST_UNREAD = 1024  # bytes; fewer are no recording
_PART = 1 << 20  # bytes read at a time
_LONGEST_PADDING = 1 << 26  # bytes; so many are searched for anything that is none

# Files that are a list of chunks, by their first bytes: position of the first chunk; bytes of its identifier and of its
# length; byte order; what the length counts beside the content; and the multiple at which the next chunk begins.
_CHUNKS = {
    b"RIFF": (12, 4, 4, "little", 0, 2),
    b"RF64": (12, 4, 4, "little", 0, 2),
    b"RIFX": (12, 4, 4, "big", 0, 2),
    b"FORM": (12, 4, 4, "big", 0, 2),
    b"caff": (8, 4, 8, "big", 0, 1),
    b"riff": (40, 16, 8, "little", 24, 8),
}
_BEGINNINGS = {*_CHUNKS, b".snd", b"fLaC", b"OggS"}  # of recordings; they look like chunks
_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # of MP4, where the length precedes the identifier
_SOUND = {b"data", b"SSND", b"mdat"}
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
    n_before = 0
    while n_before < len(content):
        n_zeros = len(content) - n_before - len(content[n_before:].lstrip(b"\0"))
        n_tag = _tag_length(content[n_before + n_zeros :][:32])
        if (n_zeros > _SECTOR and not of_any_length) or not n_zeros + n_tag:
            return False
        n_before += n_zeros + n_tag
    return True


def is_tag(content: bytes) -> bool:
    """Whether bytes begin with a tag of music programs, as are written behind or before the sound."""
    return _tag_length(content[:32]) > 0


def _tag_length(head: bytes) -> int:
    """Return the length of a tag in bytes, given its first 32; 0 if it is none."""
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


def n_unread(file: BinaryIO, n_read: int = 0) -> int:
    """Return how many bytes lie behind the end of a recording, if they may be another one; else 0.

    The end is the one that the header declares. Of formats without such a header, another recording begins with the
    same eight bytes.

    Args:
        file: open at any position, which changes.
        n_read: bytes that the decoder used.

    Examples:
        >>> import io
        >>> au = b".snd" + (24).to_bytes(4, "big") + (9000).to_bytes(4, "big") + bytes(12) + b"sound" * 1800
        >>> [n_unread(io.BytesIO(au + behind)) for behind in (b"", bytes(5000), b"TAG" + bytes(125), au)]
        [0, 0, 0, 9024]
    """
    size = file.seek(0, os.SEEK_END)
    end = _declared_end(file, size)
    if end is None:
        file.seek(0)
        end = find(file, file.read(8), max(n_read, 8))
    if end is None or end < n_read:
        return 0
    start = end
    while end < size:
        file.seek(end)
        part = file.read(_PART)
        n_padding = len(part) - len(part.lstrip(b"\0"))
        n_padding += _tag_length(part[n_padding : n_padding + 32])
        if not n_padding:
            break
        end += n_padding
    return size - start if size - end >= FEWEST_UNREAD else 0


def find(file: BinaryIO, content: bytes, start: int) -> int | None:
    """Return the position of the first of these bytes from `start` on; None if they do not occur.

    Examples:
        >>> import io
        >>> find(io.BytesIO(b"fLaC and fLaC"), b"fLaC", 4), find(io.BytesIO(b"fLaC"), b"fLaC", 4)
        (9, None)
    """
    file.seek(start)
    kept = b""
    while part := file.read(_PART):
        part = kept + part
        if (found := part.find(content)) >= 0:
            return start + found
        kept = part[-len(content) + 1 :]
        start += len(part) - len(kept)
    return None


def _declared_end(file: BinaryIO, size: int) -> int | None:
    """Return the end that the header declares, at most the file's; None for formats that declare none."""
    file.seek(0)
    head = file.read(12)
    if len(head) == 12 and head[:4] == b".snd":
        offset, length = struct.unpack(">II", head[4:])
        return size if not length or is_placeholder(length) else min(offset + length, size)
    is_boxes = head[4:8] in _BOXES
    if not is_boxes and head[:4] not in _CHUNKS:
        return None
    position, n_id, n_length, order, n_more, multiple = (0, 4, 4, "big", 8, 1) if is_boxes else _CHUNKS[head[:4]]
    long_length = 0  # of the data in RF64
    while position < size:
        file.seek(position)
        first = file.read(n_id + n_length + 16)
        kind, number = first[:n_id], first[n_id : n_id + n_length]
        if is_boxes:
            number, kind = first[:4], first[4:8]
        length = int.from_bytes(number, order) - n_more  # type: ignore[arg-type]
        if is_boxes and length == 1 - n_more:
            length = int.from_bytes(first[8:16], "big") - n_more
        kind = kind[:4]
        if kind == b"ds64":
            long_length = int.from_bytes(first[16:24], "little")
        if kind == b"data" and length == 0xFFFFFFFF and long_length:
            length = long_length
        is_first = position == 0
        is_chunk = len(first) >= n_id + n_length and all(32 <= byte < 127 or byte == 169 for byte in kind)
        if not is_chunk or kind in _BEGINNINGS or (kind == b"ftyp" and not is_first):
            return position
        if length < 0 or (kind in _SOUND and (not length or is_placeholder(length))):
            return size
        position = -(-(position + n_id + n_length + length) // multiple) * multiple
    return size


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
    file.seek(_tag_length(file.read(32)))
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
        if is_tag(head):
            return False
        n_id = 9 - head[0].bit_length()
        if n_id > 4:
            file.seek(position)
            return not is_padding(file.read(_LONGEST_PADDING), of_any_length=is_all)  # not an element
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
