"""Segments as subtitles: SubRip and WebVTT. Segments without speech are left out; abstained ones read "sad?".

Of several channels or speakers, each cue begins with its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emocatcher.recognition.timeline.recording import Timeline


def to_srt(timelines: Sequence[Timeline]) -> bytes:
    """Encode as SubRip: numbered cues, times as hh:mm:ss,mmm."""
    cues = (
        f"{i}\n{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}\n{text}\n"
        for i, (start_ms, end_ms, text) in enumerate(_cues(timelines), 1)
    )
    return "\n".join(cues).encode()


def to_vtt(timelines: Sequence[Timeline]) -> bytes:
    """Encode as WebVTT, which browsers show below a player (W3C, "WebVTT: The Web Video Text Tracks Format").

    Each warning is a comment at the top.
    """
    cues = [
        f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}\n{_escaped(text)}\n"
        for start_ms, end_ms, text in _cues(timelines)
    ]
    notes = [
        f"NOTE {_escaped(timeline.of_part + ' '.join(caution.message.split()))}\n"
        for timeline in timelines
        for caution in timeline.warnings
    ]
    return "\n".join(["WEBVTT\n", *notes, *cues]).encode()


def _cues(timelines: Sequence[Timeline]) -> list[tuple[int, int, str]]:
    """Return each cue's start and end in whole ms, and its text on one line, in order of time."""
    return sorted((cue for timeline in timelines for cue in _cues_of(timeline)), key=lambda cue: cue[0])


def _cues_of(timeline: Timeline) -> Iterator[tuple[int, int, str]]:
    for segment in timeline.segments:
        start_ms, end_ms = round(1000 * segment.start_s), round(1000 * segment.end_s)
        if segment.emotion is not None and segment.probability is not None and start_ms < end_ms:
            name = " ".join(segment.emotion.split()) + "?" * segment.abstain
            yield start_ms, end_ms, f"{timeline.of_part}{name} {segment.probability:.0%}"


def _clock(time_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
