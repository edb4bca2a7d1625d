"""Summarise a timeline as one prediction: the share of each emotion in the speech of a long recording."""

from __future__ import annotations

import numpy as np

from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.windows import Windows

LONG_S = 10.0  # a longer recording has several sentences, so it is judged window by window


def speech_s(timeline: Timeline) -> dict[str, float]:
    """Return how long each emotion is the most probable one, seconds, by label in the model's order.

    A window counts for its span of the timeline (`Windows.bounds_s`). Windows without speech do not count, so the sum
    is the duration of the speech.
    """
    windows = Windows.of(timeline.labels, timeline.windows)
    spans_s = np.diff(windows.bounds_s(timeline.duration_s))[windows.speech]
    seconds = np.bincount(windows.best()[windows.speech], spans_s, len(timeline.labels))
    return dict(zip(timeline.labels, seconds.tolist(), strict=True))


def summarise(timeline: Timeline) -> Prediction:
    """Return the prediction for the whole recording of a timeline.

    Its `shares` are those of `speech_s`, its emotion has the largest share, and its `probabilities` are the mean of the
    windows with speech, as are its `dimensions`. There is no attention over the whole.
    """
    prediction = Prediction(
        path=timeline.path,
        channel=timeline.channel,
        abstain=True,
        duration_s=timeline.duration_s,
        model=timeline.model,
        model_version=timeline.model_version,
        settled_on=timeline.settled_on,
        warnings=timeline.warnings,
    )
    windows = Windows.of(timeline.labels, timeline.windows)
    seconds = speech_s(timeline)
    if not (total_s := sum(seconds.values())):
        return prediction
    mean = windows.probabilities[windows.speech].mean(axis=0).tolist()
    return prediction.answered(
        dict(zip(timeline.labels, mean, strict=True)),
        timeline.abstain_below,
        shares={label: second / total_s for label, second in seconds.items()},
        dimensions=timeline.dimensions,
        voiced_start_s=float(windows.voiced_start_s[windows.speech].min()),
        voiced_end_s=float(windows.voiced_end_s[windows.speech].max()),
    )
