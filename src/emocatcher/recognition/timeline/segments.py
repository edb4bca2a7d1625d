"""Merge neighbouring windows of the same emotion into segments."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from emocatcher.recognition.timeline.windows import Windows


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a recording with one emotion, or without speech. Segments cover the whole recording without gaps."""

    start_s: float
    end_s: float
    emotion: str | None  # None: no speech
    probability: float | None  # of that emotion, calibrated; the mean of the segment's windows
    abstain: bool  # that mean is below the threshold, or there is no speech: treat it as no answer


def merge(windows: Windows, duration_s: float, abstain_below: float, starts: Sequence[int] = ()) -> tuple[Segment, ...]:
    """Merge neighbouring windows whose most probable label is the same.

    Args:
        windows: in order of time.
        duration_s: of the recording.
        abstain_below: a segment with a lower probability is marked `abstain`.
        starts: windows, counted from 0, that begin a segment in any case.
    """
    if not len(windows):
        return ()
    best, bounds_s = windows.best(), windows.bounds_s(duration_s)
    firsts = np.union1d([0, *starts], 1 + np.flatnonzero(np.diff(best))).astype(np.int64)
    n_windows = np.diff(firsts, append=len(best))
    highest = np.where(best < 0, np.nan, windows.probabilities[np.arange(len(best)), best])
    # The mean of equal numbers may round to less than the numbers, and so below a threshold that they reach.
    means = np.maximum(np.add.reduceat(highest, firsts) / n_windows, np.minimum.reduceat(highest, firsts))
    edges_s = [*bounds_s[firsts].tolist(), float(bounds_s[-1])]
    return tuple(
        Segment(
            start_s=edges_s[i],
            end_s=edges_s[i + 1],
            emotion=None if label < 0 else windows.labels[label],
            probability=None if label < 0 else mean,
            abstain=label < 0 or mean < abstain_below,
        )
        for i, (label, mean) in enumerate(zip(best[firsts].tolist(), means.tolist(), strict=True))
    )
