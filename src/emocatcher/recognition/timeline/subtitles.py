"""Segments as subtitles: SubRip and WebVTT. Segments without speech are left out; abstained ones read "sad?"."""

from __future__ import annotations

from collections.abc import Iterator

from emocatcher.recognition.timeline.recording import Timeline


def to_srt(timeline: Timeline) -> bytes:
    """Encode as SubRip: numbered cues, times as hh:mm:ss,mmm."""
    cues = (
        f"{i}\n{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}\n{text}\n"
        for i, (start_ms, end_ms, text) in enumerate(_cues(timeline), 1)
    )
    return "\n".join(cues).encode()


def to_vtt(timeline: Timeline) -> bytes:
    """Encode as WebVTT, which browsers show below a player (W3C, "WebVTT: The Web Video Text Tracks Format").

    Each warning is a comment at the top.
    """
    cues = [
        f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}\n{_escaped(text)}\n"
        for start_ms, end_ms, text in _cues(timeline)
    ]
    notes = [f"NOTE {_escaped(' '.join(caution.message.split()))}\n" for caution in timeline.warnings]
    return "\n".join(["WEBVTT\n", *notes, *cues]).encode()


def _cues(timeline: Timeline) -> Iterator[tuple[int, int, str]]:
    """Yield each cue's start and end in whole ms, and its text on one line."""
    for segment in timeline.segments:
        start_ms, end_ms = round(1000 * segment.start_s), round(1000 * segment.end_s)
        if segment.emotion is not None and segment.probability is not None and start_ms < end_ms:
            name = " ".join(segment.emotion.split()) + "?" * segment.abstain
            yield start_ms, end_ms, f"{name} {segment.probability:.0%}"


def _clock(time_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
