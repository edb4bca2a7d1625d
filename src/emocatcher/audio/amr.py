"""Decode AMR, the speech codec of phones, with the frames of its pauses, and without the headers of joined files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# FFmpeg's own decoders refuse the frames that a phone sends in pauses (discontinuous transmission, DTX).
_CODECS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
_MAGIC = {"amrnb": b"#!AMR\n", "amrwb": b"#!AMR-WB\n"}
# Bytes of a frame by its type, with the header (RFC 4867); 8 and 9 describe the noise of a pause, and 15 is no data.
_LENGTHS = {
    "amrnb": (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1),
    "amrwb": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1),
}
_RESERVED = {"amrnb": range(9, 15), "amrwb": range(10, 14)}
_PADDING = 0x83  # bits of a frame's header that are zero
_FRAME_S = 0.02


class AmrDecoder:
    """Decodes the packets of an AMR track.

    Args:
        codec_context: that of the track; it decodes if the build of FFmpeg has no decoder for pauses.
    """

    def __init__(self, codec_context: Any) -> None:
        import av

        self._name = codec_context.name
        try:
            self._decoder: Any = av.CodecContext.create(_CODECS[self._name], "r")
        except av.codec.codec.UnknownCodecError:
            self._decoder = codec_context

    def decode(self, packet: Any) -> list[Any]:
        """Decode a packet into frames.

        Raises:
            ValueError: if the header of its first frame is damaged.
        """
        if packet.size and is_damaged(bytes(packet)[0], self._name):
            raise ValueError("a damaged header")
        return list(self._decoder.decode(packet))


def is_amr(codec: str) -> bool:
    """Whether FFmpeg's name of a codec is that of AMR.

    Examples:
        >>> is_amr("amrnb"), is_amr("mp3")
        (True, False)
    """
    return codec in _CODECS


def is_damaged(header: int, codec: str) -> bool:
    """Whether the first byte of a frame is none that an encoder writes.

    Examples:
        >>> is_damaged(0x3C, "amrnb"), is_damaged(0x7C, "amrnb"), is_damaged(ord("#"), "amrnb")
        (False, False, True)
    """
    return header & _PADDING != 0 or header >> 3 & 15 in _RESERVED[codec]


def frames(packets: Iterator[Any], codec: str) -> Iterator[Any]:
    """Yield the packets of an AMR file, one a frame, without the header of every file that was joined to it.

    FFmpeg takes such a header for frames, and what follows is split in the wrong places.
    """
    import av

    magic, lengths = _MAGIC[codec], _LENGTHS[codec]
    content = b""
    for packet in packets:
        content += bytes(packet)
        # More than a frame has to be known, to find a header behind one that was cut.
        while content and (not packet.size or len(content) >= lengths[content[0] >> 3 & 15] + len(magic)):
            length = lengths[content[0] >> 3 & 15]
            at = content.find(magic, 0, length + len(magic) - 1)
            if at < 0:
                frame = av.Packet(content[:length])
                frame.time_base, frame.duration = packet.time_base, round(_FRAME_S / packet.time_base)
                yield frame
            content = content[length if at < 0 else at + len(magic) :]
        if not packet.size:
            yield packet
