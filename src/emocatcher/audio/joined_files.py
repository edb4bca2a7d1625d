"""Find what lies behind the end of a recording: joined files, or sound that the header does not count."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from emocatcher.audio import ogg
from emocatcher.audio.file_ends import is_placeholder, padding_end

FEWEST_UNREAD = 1024  # bytes; fewer are no recording
_PART = 1 << 20  # bytes read at a time

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
_LATER_PAGE = re.compile(rb"OggS\0[\0\1\4\5]")
_LARGEST_FRAME = 1 << 16  # bytes, of a FLAC that declares none


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
    ends = _flac_ends(file, size) or [declared_end(file) or next_one(file, n_read) or _ogg_end(file)]
    found = [size - end if size - padding_end(file, end) >= FEWEST_UNREAD else 0 for end in ends if end >= n_read]
    # Of several possible ends, a later one may be right by chance alone.
    return 0 if 0 in found else max(found, default=0)


def next_one(file: BinaryIO, n_read: int = 0) -> int | None:
    r"""Return the position of the next recording that begins with the same eight bytes; None if there is none.

    Args:
        file: open at any position, which changes.
        n_read: bytes before it, at least.

    Examples:
        >>> import io
        >>> next_one(io.BytesIO(b"fLaC\0\0\0\x22 and fLaC\0\0\0\x22")), next_one(io.BytesIO(b"fLaC\0\0\0\x22"))
        (13, None)
    """
    file.seek(0)
    head = file.read(_PART)
    first, start = head[:8], max(n_read, 8)
    if first[:4] == b"OggS":
        later = _LATER_PAGE.search(head)
        start = max(start, later.start() if later else len(head))
    file.seek(start)
    kept = b""
    while part := file.read(_PART):
        part = kept + part
        if (found := part.find(first)) >= 0:
            return start + found
        kept = part[1 - len(first) :]
        start += len(part) - len(kept)
    return None


def declared_end(file: BinaryIO) -> int | None:
    """Return the end that the header declares, at most the file's; None for formats that declare none.

    Args:
        file: open at any position, which changes.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) == 12 and head[:4] == b".snd":
        offset, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:], "big")
        return size if not length or is_placeholder(length) else min(offset + length, size)
    is_boxes = head[4:8] in _BOXES
    if not is_boxes and head[:4] not in _CHUNKS:
        return None
    position, n_id, n_length, order, n_more, multiple = (0, 4, 4, "big", 8, 1) if is_boxes else _CHUNKS[head[:4]]
    long_length, has_sound = 0, False  # of the data in RF64; whether a chunk of sound came before
    while position < size:
        file.seek(position)
        first = file.read(n_id + n_length + 16)
        kind, number = first[:4], first[n_id : n_id + n_length]
        if is_boxes:
            number, kind = first[:4], first[4:8]
        length = int.from_bytes(number, order) - n_more  # type: ignore[arg-type]
        if is_boxes and length == 1 - n_more:
            length = int.from_bytes(first[8:16], "big") - n_more
        if kind == b"ds64":
            long_length = int.from_bytes(first[16:24], "little")
        if kind == b"data" and length == 0xFFFFFFFF and long_length:
            length = long_length
        is_chunk = len(first) >= n_id + n_length and all(32 <= byte < 127 or byte == 169 for byte in kind)
        is_second = has_sound and kind in (b"data", b"SSND")  # which no decoder reads
        if not is_chunk or is_second or kind in _BEGINNINGS or (kind == b"ftyp" and position > 0):
            return position
        has_sound = has_sound or kind in _SOUND
        if length < 0 or (kind in _SOUND and (not length or is_placeholder(length))):
            return size
        position = -(-(position + n_id + n_length + length) // multiple) * multiple
    return size


def has_second_chunk(file: BinaryIO) -> bool:
    """Whether a WAV or AIFF file has two chunks of sound, of which every decoder reads only one."""
    end = declared_end(file)
    if end is None:
        return False
    file.seek(end)
    return file.read(4) in (b"data", b"SSND")


def _ogg_end(file: BinaryIO) -> int:
    """Return the end of the last page of a complete Ogg file; the file's end otherwise."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) != b"OggS":
        return size
    end, is_marked = ogg.last_end(file)
    return min(end, size) if is_marked else size


def mp4_end(file: BinaryIO) -> int | None:
    """Return the end of the first of joined MP4 files; None for other formats.

    FFmpeg would go on to the fragments of the next one, and look for their content at positions in the first.
    """
    file.seek(0)
    return declared_end(file) if file.read(8)[4:] in _BOXES else None


def _flac_ends(file: BinaryIO, size: int) -> list[int]:
    """Return where a FLAC may end, if more lies behind its last frame (RFC 9639); else nothing.

    The header declares the number of samples, and so the number of the last frame. The frame's checksum is right at its
    end, and by chance at few other positions.
    """
    file.seek(0)
    head = file.read(26)
    n_samples = int.from_bytes(head[21:], "big") & (1 << 36) - 1
    block, largest = int.from_bytes(head[8:10], "big"), int.from_bytes(head[15:18], "big") or _LARGEST_FRAME
    if head[:4] != b"fLaC" or not n_samples or head[8:10] != head[10:12] or block == 0 or n_samples > block << 20:
        return []
    number = chr((n_samples - 1) // block).encode(errors="surrogatepass")
    last_frame = re.compile(rb"\xff\xf8[^\0].%b" % re.escape(number), re.DOTALL)
    file.seek(max(size - largest - FEWEST_UNREAD, 0))
    if last_frame.search(file.read()):
        return []
    start = size
    for at in range(0, size, _PART):
        file.seek(at)
        start = max((at + found.start() for found in last_frame.finditer(file.read(_PART + 8))), default=start)
    file.seek(start)
    ends, checksum = [], 0
    for position, byte in enumerate(file.read(largest), start):
        before, checksum = checksum, checksum ^ byte << 8
        for _ in range(8):
            checksum = checksum << 1 ^ (0x18005 if checksum & 0x8000 else 0)
        if checksum == 0 != before:  # zeros behind the end do not change it
            ends.append(position + 1)
    return ends
