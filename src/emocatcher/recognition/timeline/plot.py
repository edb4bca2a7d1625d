"""Plot a timeline in rows of five minutes: the waveform, the probabilities over time, and the named segments."""

from __future__ import annotations

import io
import itertools
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from emocatcher.foundation.errors import MissingExtraError, SettingError
from emocatcher.foundation.labels import colours
from emocatcher.recognition.timeline import plot_row, smoothing
from emocatcher.recognition.timeline.envelope import Envelope
from emocatcher.recognition.timeline.plot_row import FAINT, INK, SILENCE
from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline, overlaps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind: TypeAlias = Literal["svg", "png"]

_ROW_S = 300.0  # length of a row, seconds, up to half an hour
_MAX_ROWS = 6  # longer recordings have longer rows, so that the plot stays as high
_MOST_SPEAKERS = 12  # that are plotted
_LONG_ROWS_S = (600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0)

# Distances in inches: heights of the three panels of a row, gaps between them, margins.
_ONE_ROW, _MANY_ROWS = (0.95, 2.0, 0.34), (0.5, 0.8, 0.22)
_GAP, _BELOW_ROW = 0.05, 0.36
_LEFT, _RIGHT, _TOP, _WORDS_LINE, _LEGEND_LINE = 0.62, 0.3, 0.47, 0.14, 0.2
_MAX_LABEL = 24  # letters of a label in the legend

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so the text layout is the same on every machine
    "font.size": 8.0,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "text.parse_math": False,  # a label may contain a dollar sign
    "svg.fonttype": "none",  # keep text as text: small and searchable
    "svg.hashsalt": "emocatcher",  # the same plot gives the same file
}


def check() -> None:
    """Check that matplotlib is installed, before hours of audio are processed for a plot.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401, ICN001
    except ImportError:
        raise MissingExtraError("The timeline's plot", "plot") from None


def kind_of(path: Path) -> Kind:
    """Return the image format for a file name, by its suffix.

    Raises:
        SettingError: if the suffix is neither .svg nor .png.
    """
    suffix = path.suffix.lower()
    if suffix == ".svg":
        return "svg"
    if suffix == ".png":
        return "png"
    raise SettingError(f"'{path.name}' has no suffix of a plot. Give a name that ends in .svg or .png")


def draw(timeline: Timeline, envelope: Envelope, kind: Kind, width: float = 10.0) -> bytes:
    """Plot a timeline (see `draw_channels`)."""
    return draw_channels([(timeline, envelope)], kind, width)


def draw_channels(parts: Sequence[tuple[Timeline, Envelope]], kind: Kind, width: float = 10.0) -> bytes:
    """Plot a timeline, or those of the channels or speakers of a recording, one below the other.

    Of more than twelve speakers, those who speak longest are plotted.

    Args:
        parts: each timeline to plot, with the outline of the same waveform.
        kind: image format.
        width: of the image, inches; its height depends on the recording's length, and is bounded.

    Returns:
        the content of the file.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    check()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    defaults: dict[Any, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")
    }
    n_speakers = len(parts)
    parts = _longest(parts)
    timeline = parts[0][0]
    rows = _rows(timeline.duration_s, max(_MAX_ROWS // len(parts), 1))
    # A speaker's turns are short, and nothing lies between them.
    n_means = 200 if isinstance(timeline, SpeakerTimeline) else 50
    smoothing_s = max((rows[0][1] - rows[0][0]) / n_means, timeline.hop_s)
    heights = _ONE_ROW if len(rows) * len(parts) == 1 else _MANY_ROWS
    row_height = sum(heights) + 2 * _GAP + _BELOW_ROW
    drawn = [
        (each, envelope, row, smoothing.spans(each, row, smoothing_s, len(rows)))
        for row in rows
        for each, envelope in parts
    ]
    has_doubts = any(span.abstain for *_, spans in drawn for span in spans)
    codes: list[str] = []
    for each, _ in parts:
        codes += [caution.code for caution in each.warnings if caution.code not in codes]
    speakers = [each for each, _ in parts if isinstance(each, SpeakerTimeline)]
    shared = overlaps(turn for each in speakers for turn in each.turns)
    more = " A line above the waveform: several speakers." if len(shared) else ""
    if len(parts) < n_speakers:
        more += f" {len(parts)} of {n_speakers} speakers, who speak longest."
    words = _words(timeline, width, smoothing_s, codes, more, has_doubts=has_doubts)
    legend = _legend(timeline, width)
    top = _TOP + _WORDS_LINE * len(words) + _LEGEND_LINE * (1 + legend[-1].line)
    with mpl.rc_context(), warnings.catch_warnings():
        # A name whose script the layout font lacks is still shown in the SVG, in a font of the reader's machine.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcParams.update(defaults)  # override the user's own settings
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, top + len(drawn) * row_height), dpi=150)
        _head(figure, timeline, words, legend)
        for i, (each, envelope, row, spans) in enumerate(drawn):
            panels, ceiling = [], top + i * row_height
            for height in heights:
                panels.append(_panel(figure, ceiling, height))
                ceiling += height + _GAP
            plot_row.draw(panels, each, envelope, row, smoothing_s, spans)
            if isinstance(each, SpeakerTimeline):
                plot_row.mark(panels[0], overlaps(itertools.chain(each.turns, map(_Part._make, shared.tolist()))))
        sink = io.BytesIO()
        figure.savefig(sink, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return sink.getvalue()


class _Part(NamedTuple):
    start_s: float
    end_s: float


def _longest(parts: Sequence[tuple[Timeline, Envelope]]) -> Sequence[tuple[Timeline, Envelope]]:
    """Return the speakers who speak longest, in their order, if there are many; other timelines as they are."""
    seconds = [each.speaking_s for each, _ in parts if isinstance(each, SpeakerTimeline)]
    kept = sorted(range(len(seconds)), key=lambda i: -seconds[i])[:_MOST_SPEAKERS]
    return [parts[i] for i in sorted(kept)] if len(seconds) > _MOST_SPEAKERS else parts


def _rows(duration_s: float, most: int = _MAX_ROWS) -> list[tuple[float, float]]:
    """Return the start and the end of each row, seconds. All rows are of one length; the last may lie beyond the end.

    Examples:
        >>> _rows(12.0), _rows(320.0), len(_rows(1200.0))
        ([(0.0, 12.0)], [(0.0, 320.0)], 4)
        >>> _rows(3600.0)[-1], len(_rows(86_400.0))
        ((3000.0, 3600.0), 6)
    """
    if duration_s <= 1.1 * _ROW_S:
        return [(0.0, duration_s)]
    longest_s = duration_s / most
    row_s = next((step for step in (_ROW_S, *_LONG_ROWS_S) if step >= longest_s), longest_s)
    n_rows = int(np.ceil(duration_s / row_s))
    return [(i * row_s, (i + 1) * row_s) for i in range(n_rows)]


def _panel(figure: Figure, ceiling: float, height: float) -> Axes:
    full_width, full_height = figure.get_size_inches()
    return figure.add_axes(
        (
            _LEFT / full_width,
            1 - (ceiling + height) / full_height,
            (full_width - _LEFT - _RIGHT) / full_width,
            height / full_height,
        )
    )


class _Entry(NamedTuple):
    name: str
    shade: str
    line: int
    left: float  # inches from the first entry of a line


def _legend(timeline: Timeline, width: float) -> list[_Entry]:
    """Place the names and colours in as many lines as they need."""
    nothing = "no turn, or no speech" if isinstance(timeline, SpeakerTimeline) else "no speech"
    shades = {**colours(timeline.labels), nothing: SILENCE}
    line, left, found = 0, 0.0, []
    for label, shade in shades.items():
        name = label if len(label) <= _MAX_LABEL else label[: _MAX_LABEL - 1] + "…"
        needed = 0.2 + sum(0.13 if ord(letter) > 0x2E80 else 0.066 for letter in name)
        if left and left + needed > width - _LEFT - _RIGHT:
            line, left = line + 1, 0.0
        found.append(_Entry(name, shade, line, left))
        left += needed + 0.14
    return found


def _words(
    timeline: Timeline, width: float, smoothing_s: float, codes: Sequence[str], more: str, *, has_doubts: bool
) -> list[str]:
    """Return the lines below the title: what was smoothed, what is uncertain, and the warnings."""
    words = f"Means over {smoothing_s:.2g} s."
    if has_doubts:
        words += f" Pale, with “?”: below {timeline.abstain_below:.0%}, treat it as no answer."
    words += more
    if codes:
        words += f" Warnings: {', '.join(codes)}."
    return textwrap.wrap(words, int((width - _LEFT - _RIGHT) / 0.058))


def _head(figure: Figure, timeline: Timeline, words: Sequence[str], legend: Sequence[_Entry]) -> None:
    from matplotlib.patches import Rectangle

    width, height = figure.get_size_inches()
    name = timeline.path.rpartition("/")[2] or "recording"
    name = "".join(character if character.isprintable() else "·" for character in name)
    title = f"{name}, recognised by {timeline.model}"
    n_letters = int((width - _LEFT - _RIGHT) / 0.095)
    if len(title) > n_letters:
        title = title[: n_letters // 2 - 1] + "…" + title[len(title) - n_letters // 2 :]
    figure.text(_LEFT / width, 1 - 0.12 / height, title, ha="left", va="top", fontweight="bold", fontsize=9)
    for i, line in enumerate(words):
        figure.text(
            _LEFT / width, 1 - (0.34 + _WORDS_LINE * i) / height, line, ha="left", va="top", color=FAINT, fontsize=7
        )
    first = height - 0.41 - _WORDS_LINE * len(words)
    for entry in legend:
        left, bottom = _LEFT + entry.left, first - _LEGEND_LINE * (entry.line + 0.5)
        square = Rectangle((left / width, bottom / height), 0.11 / width, 0.11 / height, color=entry.shade, linewidth=0)
        square.set_transform(figure.transFigure)
        figure.add_artist(square)
        figure.text((left + 0.16) / width, (bottom + 0.05) / height, entry.name, va="center", fontsize=7.5)
