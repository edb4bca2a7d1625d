"""Encode segments as annotations: Praat's TextGrid and Audacity's label track."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline, overlaps

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

    Of several channels, each has these tiers, named "emotion 2". Each speaker has one tier, named like the speaker,
    with the emotions; abstained ones read "sad?". The last tier, "overlap", is "yes" where several of them speak.

    The "abstain" tier is "yes" where the others should be treated as no answer. The emotion's name never has a "?"
    added, so that it stays searchable.

    Uses the long text format of Praat's manual ("TextGrid file formats"), in UTF-8.
    """
    tiers = [tier for timeline in timelines for tier in _tiers(timeline)]
    tiers += _overlap([one for one in timelines if isinstance(one, SpeakerTimeline)])
    end = _seconds(timelines[0].duration_s)
    text = [_HEADER.format(end=end, n_tiers=len(tiers))]
    for number, (name, intervals) in enumerate(tiers, 1):
        text.append(_TIER.format(number=number, name=_quoted(name), end=end, n_intervals=len(intervals)))
        text += [
            _INTERVAL.format(number=i, start=_seconds(one.start_s), end=_seconds(one.end_s), text=_quoted(one.text))
            for i, one in enumerate(intervals, 1)
        ]
    return "".join(text).encode()


def to_audacity(timelines: Sequence[Timeline]) -> bytes:
    """Encode as an Audacity label track: start, end and label, separated by tabs.

    Segments without speech are left out; abstained ones read "sad?". Of several channels or speakers, each
    label begins with its own.
    """
    found = (
        (segment.start_s, segment.end_s, timeline.of_part + _one_line(segment.emotion) + "?" * segment.abstain)
        for timeline in timelines
        for segment in timeline.segments
        if segment.emotion is not None
    )
    in_order = sorted(found, key=lambda label: label[0])
    return "".join(f"{_seconds(start_s)}\t{_seconds(end_s)}\t{text}\n" for start_s, end_s, text in in_order).encode()


class _Interval(NamedTuple):
    start_s: float
    end_s: float
    text: str


def _tiers(timeline: Timeline) -> Iterator[tuple[str, list[_Interval]]]:
    """Yield the names and the intervals of a timeline's tiers."""
    emotions = [segment.emotion or "" for segment in timeline.segments]
    if isinstance(timeline, SpeakerTimeline):
        marks = ["?" * (bool(segment.emotion) and segment.abstain) for segment in timeline.segments]
        texts = {timeline.speaker: [emotion + mark for emotion, mark in zip(emotions, marks, strict=True)]}
    else:
        of_channel = "" if timeline.channel is None else f" {timeline.channel}"
        numbers = (segment.probability for segment in timeline.segments)
        texts = {
            f"emotion{of_channel}": emotions,
            f"probability{of_channel}": ["" if number is None else f"{number:.3f}" for number in numbers],
            f"abstain{of_channel}": ["yes" if segment.abstain else "" for segment in timeline.segments],
        }
    for name, of_tier in texts.items():
        pairs = zip(timeline.segments, of_tier, strict=True)
        yield name, [_Interval(segment.start_s, segment.end_s, text) for segment, text in pairs]


def _overlap(timelines: Sequence[SpeakerTimeline]) -> list[tuple[str, list[_Interval]]]:
    """Return the tier that marks where several speakers speak; none if there are no speakers."""
    if not timelines:
        return []
    found = overlaps(turn for timeline in timelines for turn in timeline.turns).ravel().tolist()
    edges_s = [0.0, *found, timelines[0].duration_s]  # by turns without and with overlap
    pairs = enumerate(itertools.pairwise(edges_s))
    return [
        ("overlap", [_Interval(start_s, end_s, "yes" * (i % 2)) for i, (start_s, end_s) in pairs if start_s < end_s])
    ]


def _seconds(time_s: float) -> str:
    """Format a time to a microsecond, without an exponent."""
    return f"{time_s:.6f}"


def _quoted(text: str) -> str:
    return _one_line(text).replace('"', '""')  # Praat's escape for a quote


def _one_line(text: str) -> str:
    return " ".join(text.split())
