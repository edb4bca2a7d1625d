"""Print one prediction as a card in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emocatcher.cli.timeline import clock
from emocatcher.foundation.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from emocatcher.recognition.prediction import Prediction
    from emocatcher.recognition.timeline import Timeline

_BAR = 30  # characters
_LINE = 60
_N_SHARES = 3  # in words; more are hard to read
_HEIGHTS = "▁▂▃▄▅▆▇█"


def show(prediction: Prediction, target: Console, timeline: Timeline | None = None) -> None:
    """Print the answer for one recording, and all warnings.

    Args:
        prediction: the answer: the emotion, its probabilities and the attention, or the shares of a long recording.
        target: the console.
        timeline: of a long recording.
    """
    from rich.text import Text

    # Text, not markup: a file name or a label may contain brackets.
    of_channel = "" if prediction.channel is None else f", channel {prediction.channel}"
    target.print(Text(one_line(prediction.path) + of_channel))
    if prediction.emotion is None:
        target.print(Text("  no speech found", "bold") + Text(f" in {prediction.duration_s:.2f} s", "dim"))
    elif timeline is not None:
        _show_shares(prediction, timeline, target)
    else:
        _show_answer(prediction, target)
    _show_dimensions(prediction, target)
    for caution in prediction.warnings:
        target.print(Text("  ! ", "bold") + Text(caution.message))


def shares_in_words(shares: dict[str, float]) -> str:
    """Return the largest shares in words.

    Examples:
        >>> shares_in_words({"sad": 0.3, "calm": 0.0, "angry": 0.48, "happy": 0.04, "neutral": 0.18})
        'angry 48%, sad 30%, neutral 18%, others 4%'
        >>> shares_in_words({"sad": 1.0, "calm": 0.0})
        'sad 100%'
    """
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    words = [f"{label} {share:.0%}" for label, share in ranked[:_N_SHARES] if share > 0]
    others = sum(share for _, share in ranked[_N_SHARES:])
    return ", ".join([*words, *([f"others {others:.0%}"] if others > 0 else [])])


def _show_shares(prediction: Prediction, timeline: Timeline, target: Console) -> None:
    """Print the shares of a long recording in words, and for each emotion when it is the most probable one."""
    from rich.text import Text

    from emocatcher.cli import screen
    from emocatcher.recognition.timeline import Windows, speech_s

    shades = screen.shades(timeline.labels)
    first = max(prediction.shares, key=lambda label: prediction.shares[label])
    target.print(
        Text(f"  {shares_in_words(prediction.shares)}", f"bold {shades[first]}")
        + Text(f" of {sum(speech_s(timeline).values()):.1f} s of speech", "")
    )
    target.print()
    windows = Windows.of(timeline.labels, timeline.windows)
    times_s = (np.arange(_LINE) + 0.5) / _LINE * timeline.duration_s
    of_place = windows.best()[np.searchsorted(windows.bounds_s(timeline.duration_s)[1:-1], times_s, side="right")]
    width = max(map(len, timeline.labels))
    for label, share in sorted(prediction.shares.items(), key=lambda pair: -pair[1]):
        if share > 0:
            line = "".join("█" if place == timeline.labels.index(label) else " " for place in of_place)
            target.print(Text(f"  {label:<{width}} {share:6.1%} ") + Text(line, shades[label]))
    end = clock(timeline.duration_s)
    target.print(Text(f"  {'':<{width + 8}}0{end:>{_LINE - 1}}", "dim"))


def _show_answer(prediction: Prediction, target: Console) -> None:
    from rich.text import Text

    from emocatcher.cli import screen

    shades = screen.shades(list(prediction.probabilities))
    emotion = prediction.emotion or ""
    answer = Text(emotion, f"bold {shades[emotion]}") + f" {prediction.probability:.0%}"
    if prediction.abstain:
        answer += Text("   uncertain: best guess only")
    target.print(Text("  ") + answer)
    target.print()
    width = max(map(len, prediction.probabilities))
    for label, probability in sorted(prediction.probabilities.items(), key=lambda pair: -pair[1]):
        bar = Text("█" * round(probability * _BAR) or "▏", style=shades[label])
        target.print(Text(f"  {label:<{width}} {probability:6.1%} ") + bar)
    target.print()
    target.print(Text("  ") + Text(_attention(prediction), shades[emotion]))
    end = f"{prediction.duration_s:.2f} s"
    target.print(Text(f"  0{end:>{_LINE - 1}}", "dim"))
    time_s, weight = max(prediction.attention, key=lambda pair: pair[1])
    voice = f"voice from {prediction.voiced_start_s:.2f} to {prediction.voiced_end_s:.2f} s"
    if any(caution.code == "no-voiced-span" for caution in prediction.warnings):
        voice = "no voice found"  # the span is then the whole recording
    target.print(f"  {voice}, most attended at {time_s:.2f} s ({weight:.0%} of the attention)")


def _show_dimensions(prediction: Prediction, target: Console) -> None:
    """Print the value of each dimension, and its place in the range; nothing if there is none."""
    from rich.text import Text

    if prediction.dimensions:
        target.print()
    width = max(map(len, prediction.dimensions), default=0)
    for name, rating in prediction.dimensions.items():
        place = round((rating.value - rating.low) / (rating.high - rating.low) * (_BAR - 1))
        line = f"{rating.low:g} {'─' * place}●{'─' * (_BAR - 1 - place)} {rating.high:g}"
        target.print(Text(f"  {name:<{width}} {rating.value:6.2f}   ") + Text(line, "dim"))


def _attention(prediction: Prediction) -> str:
    """Draw the attention over the whole recording in `_LINE` characters; blank outside the voiced span."""
    weights = [0.0] * _LINE
    starts = [time_s for time_s, _ in prediction.attention]
    ends = [*starts[1:], prediction.voiced_end_s or prediction.duration_s]
    for (start_s, weight), end_s in zip(prediction.attention, ends, strict=True):
        first = min(int(start_s / prediction.duration_s * _LINE), _LINE - 1)
        last = max(min(round(end_s / prediction.duration_s * _LINE), _LINE), first + 1)
        for place in range(first, last):
            weights[place] = max(weights[place], weight)
    highest = max(weights) or 1.0
    return "".join(_HEIGHTS[round(weight / highest * (len(_HEIGHTS) - 1))] if weight else " " for weight in weights)
