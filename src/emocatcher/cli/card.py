"""Print one prediction as a card in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emocatcher.foundation.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from emocatcher.recognition.prediction import Prediction

_BAR = 30  # characters
_LINE = 60
_HEIGHTS = "▁▂▃▄▅▆▇█"


def show(prediction: Prediction, target: Console) -> None:
    """Print the emotion, the probabilities and the attention over the recording, and all warnings."""
    from rich.text import Text

    # Text, not markup: a file name or a label may contain brackets.
    target.print(Text(one_line(prediction.path)))
    if prediction.emotion is None:
        target.print(Text("  no speech found", "bold") + Text(f" in {prediction.duration_s:.2f} s", "dim"))
    else:
        _show_answer(prediction, target)
    for caution in prediction.warnings:
        target.print(Text("  ! ", "bold") + Text(caution.message))


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
