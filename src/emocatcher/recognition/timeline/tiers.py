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


def to_textgrid(timeline: Timeline) -> bytes:
    """Encode as a TextGrid with three interval tiers: "emotion" and "probability", empty without speech, and "abstain".

    The "abstain" tier is "yes" where the others should be treated as no answer. The emotion's name never has a "?"
    added, so that it stays searchable.

    Uses the long text format of Praat's manual ("TextGrid file formats"), in UTF-8.
    """
    emotions = [segment.emotion or "" for segment in timeline.segments]
    probabilities = [
        "" if segment.probability is None else f"{segment.probability:.3f}" for segment in timeline.segments
    ]
    abstains = ["yes" if segment.abstain else "" for segment in timeline.segments]
    tiers = {"emotion": emotions, "probability": probabilities, "abstain": abstains}
    text = [_HEADER.format(end=_seconds(timeline.duration_s), n_tiers=len(tiers))]
    for number, (name, texts) in enumerate(tiers.items(), 1):
        text += _tier(number, name, texts, timeline)
    return "".join(text).encode()


def to_audacity(timeline: Timeline) -> bytes:
    """Encode as an Audacity label track: start, end and label, separated by tabs.

    Segments without speech are left out; abstained ones read "sad?".
    """
    lines = (
        f"{_seconds(segment.start_s)}\t{_seconds(segment.end_s)}\t{_one_line(segment.emotion)}{'?' * segment.abstain}\n"
        for segment in timeline.segments
        if segment.emotion is not None
    )
    return "".join(lines).encode()


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
