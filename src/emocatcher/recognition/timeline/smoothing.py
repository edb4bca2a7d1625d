"""Smooth the probabilities of a timeline, and cut it into spans of one label, so that a long one can be plotted."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline
from emocatcher.recognition.timeline.windows import Windows

_N_COLUMNS = 200  # into which a part is divided
_MAX_SEGMENTS = 40  # in a part; more would be too narrow
_MAX_TURNS = 400  # segments of a speaker, most of whose time is between them


def smooth(timeline: Timeline, times_s: NDArray[np.float64], width_s: float) -> NDArray[np.float64]:
    """Return the mean probabilities around some times.

    Args:
        timeline: the timeline.
        times_s: shape (n_times,), seconds.
        width_s: length of the part around each time that the mean is over, cut at the ends of the recording.

    Returns:
        shape (n_labels, n_times); the sum over labels is below 1 by the share without speech.
    """
    windows = Windows.of(timeline.labels, timeline.windows)
    edges_s = windows.bounds_s(timeline.duration_s)
    lengths_s = np.diff(edges_s)[:, None]
    until = np.concatenate(
        [[np.zeros(len(timeline.labels))], np.cumsum(np.nan_to_num(windows.probabilities) * lengths_s, 0)]
    )
    first_s, last_s = (np.clip(times_s + side * width_s / 2, edges_s[0], edges_s[-1]) for side in (-1, 1))
    width = np.maximum(last_s - first_s, 1e-12)
    return np.stack([(np.interp(last_s, edges_s, one) - np.interp(first_s, edges_s, one)) / width for one in until.T])


class Span(NamedTuple):
    """A part of a recording with one label."""

    start_s: float
    end_s: float
    label: str | None  # None: no speech
    abstain: bool


def spans(timeline: Timeline, part: tuple[float, float], smoothing_s: float, n_parts: int) -> list[Span]:
    """Return the named spans of a part of the recording: the segments, or where they are too many the smoothed leader.

    Args:
        timeline: the timeline.
        part: start and end, seconds.
        smoothing_s: as `width_s` of `smooth`.
        n_parts: into how many such parts the recording is divided.
    """
    most = _MAX_TURNS if isinstance(timeline, SpeakerTimeline) else _MAX_SEGMENTS
    if len(timeline.segments) <= most * n_parts:
        cut = ((max(one.start_s, part[0]), min(one.end_s, part[1]), one) for one in timeline.segments)
        return [
            Span(start_s, end_s, one.emotion, one.abstain and one.emotion is not None)
            for start_s, end_s, one in cut
            if start_s < end_s
        ]
    edges_s = np.linspace(part[0], min(part[1], timeline.duration_s), _N_COLUMNS + 1)
    shares = smooth(timeline, (edges_s[:-1] + edges_s[1:]) / 2, 2 * smoothing_s)
    spoken = shares.sum(axis=0)
    leaders = np.where(spoken < 0.5, -1, shares.argmax(axis=0))
    firsts = [0, *(1 + np.flatnonzero(np.diff(leaders))).tolist(), len(leaders)]
    found = []
    for first, end in itertools.pairwise(firsts):
        place = int(leaders[first])
        label = None if place < 0 else timeline.labels[place]
        sure = float(shares[place, first:end].sum() / max(spoken[first:end].sum(), 1e-12))
        doubtful = label is not None and sure < timeline.abstain_below
        found.append(Span(float(edges_s[first]), float(edges_s[end]), label, doubtful))
    return found
