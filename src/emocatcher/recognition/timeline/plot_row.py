"""Draw one row of a timeline's plot: the waveform, the smoothed probabilities, and a strip of named spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.labels import colours
from emocatcher.recognition.timeline.envelope import Envelope
from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.smoothing import Span, smooth
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, SILENCE = "#222222", "#767676", "#E4E4E4"
_WAVE = "#444444"
_DOUBTFUL: dict[str, Any] = {"facecolor": "#FFFFFFA0", "linewidth": 0}  # over the emotion's colour
_N_COLUMNS = 200  # of the probabilities; more could not be told apart by eye
_MAX_NAME = 60  # letters of a speaker's name
_LETTER = 0.085  # inches, upper estimate of a letter's width


def draw(
    panels: Sequence[Axes],
    timeline: Timeline,
    envelope: Envelope,
    row: tuple[float, float],
    smoothing_s: float,
    spans: Sequence[Span],
) -> None:
    """Draw a row into its three panels.

    Args:
        panels: for the waveform, the probabilities and the strip.
        timeline: the timeline.
        envelope: outline of the waveform of the whole recording.
        row: start and end, seconds.
        smoothing_s: length of the parts that the probabilities are means over.
        spans: named spans, for the strip.
    """
    wave, shares, strip = panels
    _draw_wave(wave, timeline, envelope, row)
    for segment in timeline.segments:
        if segment.emotion is None and segment.end_s - segment.start_s >= smoothing_s:
            wave.axvspan(segment.start_s, segment.end_s, color=SILENCE, linewidth=0, zorder=0)
    _draw_shares(shares, timeline, row, smoothing_s)
    inches = _draw_strip(strip, timeline, spans, row)
    for panel in panels:
        panel.set_xlim(*row)
        panel.tick_params(bottom=panel is strip, labelbottom=panel is strip)
    _clock_axis(strip, row, timeline.duration_s, max(1.2 * inches, 2.0))
    if isinstance(timeline, SpeakerTimeline):
        name = timeline.part if len(timeline.part) <= _MAX_NAME else timeline.part[: _MAX_NAME - 1] + "…"
        wave.text(0.0, 1.02, name, transform=wave.transAxes, va="bottom", fontsize=7, fontweight="bold")
    elif row[0] == 0.0 or timeline.part:
        wave.set_ylabel(timeline.part or "waveform", color=FAINT, labelpad=24, fontsize=7)
    if row[0] == 0.0:
        shares.set_ylabel("probability", color=FAINT, labelpad=1, fontsize=7)


def mark(wave: Axes, places: NDArray[np.float64]) -> None:
    """Mark parts, shape (n_parts, 2), seconds, above a waveform that was drawn."""
    if len(places):
        top = wave.get_ylim()[1]
        wave.hlines(np.full(len(places), top), places[:, 0], places[:, 1], color=INK, linewidth=3)


def _draw_wave(axes: Axes, timeline: Timeline, envelope: Envelope, row: tuple[float, float]) -> None:
    """Draw the outline; roots of the samples, so that quiet speech is visible beside a shout."""
    outline = envelope.outline()
    n_bins = outline.shape[1]
    if n_bins:
        per_s = n_bins / max(timeline.duration_s, 1e-9)
        first, end = int(row[0] * per_s), min(int(np.ceil(row[1] * per_s)), n_bins)
        n_together = -(-(end - first) // (5 * _N_COLUMNS))
        starts = np.arange(first, end, max(n_together, 1))
        lowest = np.minimum.reduceat(outline[0, :end], starts)
        highest = np.maximum.reduceat(outline[1, :end], starts)
        times_s = np.append(starts, end) / per_s
        lower, upper = (
            np.sign(one) * np.sqrt(np.abs(one))
            for one in (np.append(lowest, lowest[-1]), np.append(highest, highest[-1]))
        )
        axes.fill_between(times_s, lower, upper, step="post", color=_WAVE, linewidth=0.2)
    limit = max(float(np.sqrt(np.abs(outline).max(initial=0.0))), 0.03) * 1.05
    axes.set_ylim(-limit, limit)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)


def _draw_shares(axes: Axes, timeline: Timeline, row: tuple[float, float], smoothing_s: float) -> None:
    times_s = np.linspace(row[0], min(row[1], timeline.duration_s), _N_COLUMNS + 1)
    tops = np.cumsum(smooth(timeline, times_s, smoothing_s), axis=0)
    tops = np.concatenate([np.zeros((1, len(times_s))), tops, np.ones((1, len(times_s)))])
    shades = colours(timeline.labels)
    for label, lower, upper in zip([*timeline.labels, None], tops[:-1], tops[1:], strict=True):
        axes.fill_between(times_s, lower, upper, color=SILENCE if label is None else shades[label], linewidth=0)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.5, 1.0], ["0%", "50%", "100%"], fontsize=6.5)
    axes.spines["bottom"].set_visible(False)


def _draw_strip(axes: Axes, timeline: Timeline, spans: Sequence[Span], row: tuple[float, float]) -> float:
    """Draw the spans, with the names that fit; return the width of the strip in inches."""
    from matplotlib.colors import to_rgb

    shades: dict[str | None, str] = {None: SILENCE}
    shades.update(colours(timeline.labels))
    inches = axes.get_window_extent().width / axes.figure.dpi
    inches_a_second = inches / max(row[1] - row[0], 1e-9)
    for span in spans:
        width_s = span.end_s - span.start_s
        axes.bar(span.start_s, 1.0, width_s, align="edge", color=shades[span.label], linewidth=0)
        if span.abstain:
            axes.bar(span.start_s, 1.0, width_s, align="edge", **_DOUBTFUL)
        nothing = "" if isinstance(timeline, SpeakerTimeline) else "no speech"  # it may be the turn of another one
        name = nothing if span.label is None else span.label + "?" * span.abstain
        if width_s * inches_a_second >= _LETTER * len(name):
            red, green, blue = to_rgb(shades[span.label])
            dark = not span.abstain and 0.299 * red + 0.587 * green + 0.114 * blue < 0.52  # luma, ITU-R BT.601
            colour = "white" if dark else INK
            axes.text(span.start_s + width_s / 2, 0.46, name, ha="center", va="center", color=colour, fontsize=7)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return float(inches)


def _clock_axis(axes: Axes, row: tuple[float, float], duration_s: float, most: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200]
    row_s = row[1] - row[0]
    step = next((step for step in steps if row_s / step <= most), max(row_s / most, 1e-3))
    axes.xaxis.set_major_locator(MultipleLocator(step))

    def clock(time_s: float, _place: object) -> str:
        if duration_s < 60:
            return f"{time_s:g} s"
        minutes, seconds = divmod(round(time_s), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if duration_s >= 3600 else f"{minutes}:{seconds:02d}"

    axes.xaxis.set_major_formatter(FuncFormatter(clock))
