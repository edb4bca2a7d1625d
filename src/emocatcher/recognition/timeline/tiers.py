"""Encode segments as annotations: Praat's TextGrid and Audacity's label track."""

from __future__ import annotations

from collections.abc import Sequence

from emocatcher.recognition.timeline.recording import Timeline

_HEADER = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {end}
tiers? <exists>
size = {n_tiers}
item []:
"""
_TIER = """    item [{number}]:
        class = "IntervalTier"
        name = "{name}"
        xmin = 0
        xmax = {end}
        intervals: size = {n_intervals}
"""
_INTERVAL = """        intervals [{number}]:
            xmin = {start}
            xmax = {end}
            text = "{text}"
"""


def to_textgrid(timelines: Sequence[Timeline]) -> bytes:
    """Encode as a TextGrid with three interval tiers: "emotion" and "probability", empty without speech, and "abstain".

    Of several channels, each has these tiers, named "emotion 2".

    The "abstain" tier is "yes" where the others should be treated as no answer. The emotion's name never has a "?"
    added, so that it stays searchable.

    Uses the long text format of Praat's manual ("TextGrid file formats"), in UTF-8.
    """
    tiers = [(timeline, *tier) for timeline in timelines for tier in _tiers(timeline)]
    text = [_HEADER.format(end=_seconds(timelines[0].duration_s), n_tiers=len(tiers))]
    for number, (timeline, name, texts) in enumerate(tiers, 1):
        text += _tier(number, name, texts, timeline)
    return "".join(text).encode()


def to_audacity(timelines: Sequence[Timeline]) -> bytes:
    """Encode as an Audacity label track: start, end and label, separated by tabs.

    Segments without speech are left out; abstained ones read "sad?". Of several channels, each label begins with its
    channel.
    """
    found = (
        (segment.start_s, segment.end_s, timeline.of_channel + _one_line(segment.emotion) + "?" * segment.abstain)
        for timeline in timelines
        for segment in timeline.segments
        if segment.emotion is not None
    )
    in_order = sorted(found, key=lambda label: label[0])
    return "".join(f"{_seconds(start_s)}\t{_seconds(end_s)}\t{text}\n" for start_s, end_s, text in in_order).encode()


def _tiers(timeline: Timeline) -> list[tuple[str, list[str]]]:
    """Return the names and the texts of a timeline's tiers."""
    of_channel = "" if timeline.channel is None else f" {timeline.channel}"
    probabilities = [
        "" if segment.probability is None else f"{segment.probability:.3f}" for segment in timeline.segments
    ]
    return [
        (f"emotion{of_channel}", [segment.emotion or "" for segment in timeline.segments]),
        (f"probability{of_channel}", probabilities),
        (f"abstain{of_channel}", ["yes" if segment.abstain else "" for segment in timeline.segments]),
    ]


def _tier(number: int, name: str, texts: Sequence[str], timeline: Timeline) -> list[str]:
    end = _seconds(timeline.duration_s)
    head = _TIER.format(number=number, name=name, end=end, n_intervals=len(texts))
    return [head] + [
        _INTERVAL.format(
            number=i,
            start=_seconds(segment.start_s),
            end=_seconds(segment.end_s),
            text=_one_line(text).replace('"', '""'),  # Praat's escape for a quote
        )
        for i, (segment, text) in enumerate(zip(timeline.segments, texts, strict=True), 1)
    ]


def _seconds(time_s: float) -> str:
    """Format a time to a microsecond, without an exponent."""
    return f"{time_s:.6f}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
