"""Find out from the packets of a recording how long it is, and whether it has pauses, without decoding."""

from __future__ import annotations

from emocatcher.audio.placement import GAP_S
from emocatcher.audio.sources import Encoded, opened

# FFmpeg also accepts playlists and would open the files that they name. It gets an open file and no protocol with which
# to open another.
NO_PROTOCOLS = {"protocol_whitelist": "none"}


def estimated_duration_s(source: Encoded) -> float | None:
    """Return the duration that a container declares, or that FFmpeg estimates from the bit rate; None if unknown."""
    import av

    try:
        with opened(source) as file, av.open(file, mode="r", options=NO_PROTOCOLS) as container:
            return container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, ValueError, OSError):
        return None


def has_pauses(source: Encoded) -> bool:
    """Whether the times of a recording's packets have gaps, or cannot be read to the end; nothing is decoded."""
    import av

    try:
        with opened(source) as file, av.open(file, mode="r", options=NO_PROTOCOLS) as container:
            end_s = None
            for packet in container.demux(container.streams.best("audio")):
                if packet.pts is None or packet.time_base is None:
                    continue
                start_s = float(packet.pts * packet.time_base)
                if end_s is not None and start_s > end_s + GAP_S:
                    return True
                end_s = start_s + float((packet.duration or 0) * packet.time_base)
    except (av.FFmpegError, ValueError, IndexError):
        return True
    return False
