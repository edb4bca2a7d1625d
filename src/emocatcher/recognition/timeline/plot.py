"""Plot a timeline: the waveform, the probabilities below it, and the named segments."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import MissingExtraError, SettingError
from emocatcher.foundation.labels import colours
from emocatcher.recognition.timeline.envelope import Envelope
from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.windows import Windows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind: TypeAlias = Literal["svg", "png"]

_MAX_COLUMNS = 320  # narrower columns cannot be told apart by eye
_WIDTH, _HEIGHT = 10.0, 4.6  # inches
_LETTER_INCHES = 0.085  # upper estimate of a letter's width in the strip
_INK, _FAINT, _SILENCE, _WAVE = "#222222", "#767676", "#E4E4E4", "#555555"
_DOUBTFUL: dict[str, Any] = {"facecolor": "#FFFFFFA0", "linewidth": 0}  # over the emotion's colour
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so the text layout is the same on every machine
    "font.size": 9.0,
    "axes.edgecolor": _FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
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


def draw(timeline: Timeline, envelope: Envelope, kind: Kind) -> bytes:
    """Plot a timeline.

    Args:
        timeline: the timeline to plot.
        envelope: outline of the same recording's waveform.
        kind: image format.

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
    with mpl.rc_context():
        mpl.rcParams.update(defaults)  # override the user's own settings
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=150)
        wave, shares, strip = figure.subplots(
            3,
            1,
            sharex=True,
            gridspec_kw={"height_ratios": [1.0, 2.2, 0.45], "hspace": 0.09}
            | {"left": 0.065, "right": 0.97, "top": 0.86, "bottom": 0.105},
        )
        _draw_wave(wave, timeline, envelope)
        _draw_shares(shares, timeline)
        has_doubts = _draw_strip(strip, timeline)
        strip.set_xlim(0.0, timeline.duration_s)
        _clock_axis(strip, timeline.duration_s)
        _legend(figure, timeline, has_doubts=has_doubts)
        figure.align_ylabels([wave, shares])
        sink = io.BytesIO()
        figure.savefig(sink, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return sink.getvalue()


def columns(timeline: Timeline) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities over time, in at most as many columns as the plot can show.

    With few windows, each column is one window's span of the timeline (`Windows.bounds_s`). With many, a column is the
    mean of several consecutive windows.

    Returns:
        edges_s: shape (n_columns + 1,), seconds, from 0 to the end.
        shares: shape (n_labels, n_columns); a column's sum is below 1 by the share without speech.
    """
    windows = Windows.of(timeline.labels, timeline.windows)
    bounds_s, shares = windows.bounds_s(timeline.duration_s), np.nan_to_num(windows.probabilities)
    n_together = -(-len(windows) // _MAX_COLUMNS)
    if n_together <= 1:
        return bounds_s, shares.T
    firsts = np.arange(0, len(windows), n_together)
    n_windows = np.diff(firsts, append=len(windows))
    return np.append(bounds_s[firsts], bounds_s[-1]), (np.add.reduceat(shares, firsts) / n_windows[:, None]).T


def _draw_wave(axes: Axes, timeline: Timeline, envelope: Envelope) -> None:
    outline = envelope.outline()
    times_s = np.minimum(np.arange(outline.shape[1] + 1) * envelope.step / max(envelope.n_samples, 1), 1.0)
    times_s *= timeline.duration_s
    lowest, highest = np.concatenate([outline, outline[:, -1:]], axis=1)
    axes.fill_between(times_s, lowest, highest, step="post", color=_WAVE, linewidth=0.3)
    for segment in timeline.segments:
        if segment.emotion is None and len(timeline.segments) <= _MAX_COLUMNS:
            axes.axvspan(segment.start_s, segment.end_s, color=_SILENCE, linewidth=0, zorder=0)
    limit = max(float(np.abs(outline).max(initial=0.0)), 1e-3) * 1.05
    axes.set_ylim(-limit, limit)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(bottom=False)
    axes.set_ylabel("waveform", color=_FAINT)


def _draw_shares(axes: Axes, timeline: Timeline) -> None:
    edges_s, shares = columns(timeline)
    shades = colours(timeline.labels)
    tops = np.cumsum(shares, axis=0)
    tops = np.concatenate([np.zeros((1, tops.shape[1])), tops, np.ones((1, tops.shape[1]))])
    tops = np.concatenate([tops, tops[:, -1:]], axis=1)  # extends the last step to the last edge
    for label, lower, upper in zip([*timeline.labels, None], tops[:-1], tops[1:], strict=True):
        shade = _SILENCE if label is None else shades[label]
        axes.fill_between(edges_s, lower, upper, step="post", color=shade, linewidth=0)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.5, 1.0], ["0%", "50%", "100%"])
    axes.tick_params(bottom=False)
    axes.set_ylabel("probability", color=_FAINT)


def _draw_strip(axes: Axes, timeline: Timeline) -> bool:
    """Draw the strip of named segments; return whether any of them abstains and is drawn pale."""
    edges_s, shares = columns(timeline)
    shades = [_SILENCE, *colours(timeline.labels).values()]
    from matplotlib.colors import to_rgb

    if len(timeline.segments) <= _MAX_COLUMNS:
        abstains = [segment.abstain and segment.emotion is not None for segment in timeline.segments]
        edges_s = np.array([segment.start_s for segment in timeline.segments] + [timeline.duration_s])
        places = {label: i for i, label in enumerate(timeline.labels, 1)}
        chosen = [places.get(segment.emotion or "", 0) for segment in timeline.segments]
    else:
        chosen = np.concatenate([1.0 - shares.sum(axis=0, keepdims=True), shares]).argmax(axis=0).tolist()
        abstains = [
            place > 0 and share < timeline.abstain_below
            for place, share in zip(chosen, shares.max(axis=0).tolist(), strict=True)
        ]
    widths_s = np.diff(edges_s)
    axes.bar(edges_s[:-1], 1.0, widths_s, align="edge", color=[shades[i] for i in chosen], linewidth=0)
    if any(abstains):
        doubtful = np.array(abstains)
        axes.bar(edges_s[:-1][doubtful], 1.0, widths_s[doubtful], align="edge", **_DOUBTFUL)
    inches_a_second = _WIDTH * 0.905 / max(timeline.duration_s, 1e-9)
    for start_s, width_s, place, abstain in zip(edges_s, widths_s, chosen, abstains, strict=False):
        name = "no speech" if place == 0 else timeline.labels[place - 1] + "?" * abstain
        if width_s * inches_a_second >= _LETTER_INCHES * len(name):
            red, green, blue = to_rgb(shades[place])
            dark = not abstain and 0.299 * red + 0.587 * green + 0.114 * blue < 0.52  # luma, ITU-R BT.601
            axes.text(
                start_s + width_s / 2, 0.47, name, ha="center", va="center", color="white" if dark else _INK, fontsize=8
            )
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return any(abstains)


def _clock_axis(axes: Axes, duration_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200]
    step = next((step for step in steps if duration_s / step <= 12), max(duration_s / 12, 1e-3))
    axes.xaxis.set_major_locator(MultipleLocator(step))

    def clock(time_s: float, _place: object) -> str:
        if duration_s < 60:
            return f"{time_s:g} s"
        minutes, seconds = divmod(round(time_s), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if duration_s >= 3600 else f"{minutes}:{seconds:02d}"

    axes.xaxis.set_major_formatter(FuncFormatter(clock))


def _legend(figure: Figure, timeline: Timeline, *, has_doubts: bool) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=shade, label=label) for label, shade in colours(timeline.labels).items()]
    patches.append(Patch(color=_SILENCE, label="no speech"))
    if has_doubts:
        doubtful = f"pale: below {timeline.abstain_below:.0%}"
        patches.append(Patch(facecolor="white", edgecolor=_FAINT, linewidth=0.6, label=doubtful))
    figure.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(0.06, 0.935),
        ncols=len(patches),
        frameon=False,
        fontsize=8,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.2,
        handletextpad=0.4,
        borderaxespad=0.0,
    )
    name = timeline.path.rpartition("/")[2] or "recording"
    name = "".join(character if character.isprintable() else "·" for character in name)
    title = f"{name}, recognised by {timeline.model}"
    figure.text(0.065, 0.985, title, ha="left", va="top", fontweight="bold")
