"""Draw the walk of one clip through the code, as an SVG for the docs site.

The functions that recognition calls are called one after another on the page's example, a synthetic voice, and what
each returns is drawn. Names, places and texts are those of the functions, so the drawing is of the code as it is.
"""

from __future__ import annotations

import base64
import inspect
import io
import sys
import textwrap
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import emocatcher
from emocatcher import audio
from emocatcher.features import extraction
from emocatcher.foundation.labels import terminal_colours

SOURCE = Path(emocatcher.__file__).parent
WIDTH, LEFT, PICTURE = 460, 52, 92  # of the drawing, of its texts, and the height of a picture
_LINE, _GAP = 18, 34
_SHOWN_S = 2.6  # of the example: its first sentence


class Step(NamedTuple):
    """One function of the walk."""

    function: Callable[..., Any]
    returns: str  # with shapes
    picture: str  # SVG, within 0 … PICTURE
    name: str = ""  # where it differs from the function's


def drawing() -> str:
    """The SVG, for Markdown, in the colours of the page."""
    y, parts = 8, []
    steps = walk()
    for number, step in enumerate(steps, 1):
        text, height = _step(number, step)
        last = number == len(steps)
        arrow = "" if last else f'<path class="arrow" d="M24 34V{height + _GAP - 12}m-5 -7l5 7l5 -7"/>'
        parts.append(f'<g transform="translate(0 {y})">{arrow}{text}</g>')
        y += height + _GAP
    return (
        f'<div class="walk"><svg viewBox="0 0 {WIDTH} {y}" role="img" '
        'aria-label="The walk of one clip: the functions it passes, and what each returns">'
        f"{''.join(parts)}</svg></div>\n"
    )


def _step(number: int, step: Step) -> tuple[str, int]:
    """One step as SVG, and its height."""
    place = Path(inspect.getfile(step.function)).relative_to(SOURCE).as_posix().replace("__init__.py", "")
    about = (inspect.getdoc(step.function) or "").partition("\n")[0].replace("`", "")
    lines = textwrap.wrap(about, 52)
    y = 20
    parts = [f'<circle cx="24" cy="16" r="14"/><text class="number" x="24" y="21">{number}</text>']
    parts.append(f'<text class="name" x="{LEFT}" y="{y}">{step.name or step.function.__qualname__}</text>')
    parts.append(f'<text class="place" x="{WIDTH}" y="{y}">{place}</text>')
    for line in lines:
        y += _LINE
        parts.append(f'<text x="{LEFT}" y="{y}">{escape(line)}</text>')
    y += 10
    if step.picture:
        parts.append(f'<g transform="translate({LEFT} {y})">{step.picture}</g>')
        y += PICTURE
    y += _LINE - 2
    parts.append(f'<text class="returns" x="{LEFT}" y="{y}">→ {escape(step.returns)}</text>')
    return "".join(parts), y


def walk() -> list[Step]:
    """Call the functions on the example, and draw what they return."""
    recognizer = emocatcher.load()
    config = recognizer.config
    front_end, rate = config.settings.front_end, config.settings.front_end.sample_rate
    recording = audio.read(_example(), rate)
    channels = extraction.compute_channels(recording.waveform, front_end)
    clip = extraction.cut_voiced_span(channels, recording.waveform, front_end, config.settings.vad)
    answers = recognizer.run([clip.channels])
    probabilities = recognizer.probabilities(answers.logits)[0]
    prediction = recognizer.predict(_example())
    shown = clip.duration_s
    span = f"{clip.voiced_start_s:.2f} to {clip.voiced_end_s:.2f} s"
    frames, cut, attention = channels.shape, clip.channels.shape, answers.attention[0]
    return [
        Step(emocatcher.load, f"Recognizer: '{config.name}', {len(config.labels)} emotions, {rate:,} Hz", ""),
        Step(
            audio.read, f"waveform ({len(recording.waveform):,},) at {rate:,} Hz", _waveform(recording.waveform),
            "audio.read",
        ),
        Step(extraction.compute_channels, f"log_mel {frames}: bands, frames; dB", _image(channels)),
        Step(
            extraction.cut_voiced_span, f"channels {cut}; voice from {span}",
            _image(channels, (clip.voiced_start_s / shown, clip.voiced_end_s / shown)),
        ),
        Step(
            emocatcher.Recognizer.run, f"logits (1, {len(config.labels)}), attention ({len(attention)},), sums to 1",
            _attention(attention, clip.voiced_start_s / shown, clip.voiced_end_s / shown),
        ),
        Step(
            emocatcher.Recognizer.probabilities, f"probabilities ({len(config.labels)},), they sum to 1",
            _bars(config.labels, probabilities),
        ),
        Step(
            emocatcher.Recognizer.predict,
            f"Prediction: {prediction.emotion} {prediction.probability:.0%}"
            + (", abstain" if prediction.abstain else ""),
            "",
        ),
    ]  # fmt: skip


def _example() -> tuple[NDArray[np.float32], int]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "web"))
    import example

    return example.waveform()[: round(_SHOWN_S * example.SAMPLE_RATE)], example.SAMPLE_RATE


def _waveform(waveform: NDArray[np.float32]) -> str:
    """The largest value of each two pixels, on both sides of a line."""
    n = (WIDTH - LEFT) // 2
    peaks = np.array([np.abs(part).max() for part in np.array_split(waveform, n)])
    peaks = np.maximum(peaks / peaks.max() * PICTURE / 2, 0.5)
    lines = "".join(f"M{2 * i + 1} {PICTURE / 2 - high:.1f}v{2 * high:.1f}" for i, high in enumerate(peaks))
    return f'<path class="wave" d="{lines}"/>'


def _image(log_mel: NDArray[np.float32], span: tuple[float, float] | None = None) -> str:
    """The spectrogram, with what lies outside the span covered."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    loudest = log_mel.max()
    imsave(file, log_mel[::-1], cmap="magma", vmin=max(log_mel.min(), loudest - 70), vmax=loudest, format="png")
    width = WIDTH - LEFT
    picture = base64.b64encode(file.getvalue()).decode()
    image = (
        f'<image width="{width}" height="{PICTURE}" preserveAspectRatio="none" href="data:image/png;base64,{picture}"/>'
    )
    if span is None:
        return image
    start, end = (edge * width for edge in span)
    covers = "".join(
        f'<rect class="cover" x="{x:.1f}" width="{wide:.1f}" height="{PICTURE}"/>'
        for x, wide in ((0, start), (end, width - end))
    )
    return f'{image}{covers}<path class="edge" d="M{start:.1f} 0v{PICTURE}M{end:.1f} 0v{PICTURE}"/>'


def _attention(attention: NDArray[np.float32], start: float, end: float) -> str:
    """A bar for each step, below the time that it belongs to."""
    width = WIDTH - LEFT
    wide = (end - start) * width / len(attention)
    bars = "".join(
        f"M{start * width + (i + 0.5) * wide:.1f} {PICTURE}v{-high / attention.max() * (PICTURE - 4):.1f}"
        for i, high in enumerate(attention)
    )
    return f'<path class="attention" stroke-width="{0.8 * wide:.1f}" d="{bars}"/>'


def _bars(labels: tuple[str, ...], probabilities: NDArray[np.float64]) -> str:
    """A bar for each emotion, in its colour."""
    high, room = PICTURE / len(labels), WIDTH - LEFT - 120
    colours = terminal_colours(labels)
    rows = []
    for i, (label, value) in enumerate(zip(labels, probabilities, strict=True)):
        wide = value / probabilities.max() * room
        y = i * high
        rows.append(
            f'<text class="small" x="0" y="{y + high - 2:.1f}">{label}</text>'
            f'<rect x="74" y="{y + 1.5:.1f}" width="{wide:.1f}" height="{high - 3:.1f}" fill="{colours[label]}"/>'
            f'<text class="small" x="{78 + wide:.1f}" y="{y + high - 2:.1f}">{value:.0%}</text>'
        )
    return "".join(rows)
