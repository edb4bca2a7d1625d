"""One prediction as a card for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emocatcher.foundation.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from emocatcher.recognition.prediction import Prediction

_BAR = 30  # characters
_LINE = 60
_HEIGHTS = "▁▂▃▄▅▆▇█"


def show(heard: Prediction, target: Console) -> None:
    """Print what was heard, how sure, and where in the sound."""
    from rich.text import Text

    from emocatcher.foundation.labels import colours

    shades = colours(list(heard.probabilities))
    # As text, not as markup: a file name or a label may hold brackets.
    target.print(Text(one_line(heard.path)))
    answer = Text(heard.emotion, f"bold {shades[heard.emotion]}") + f" {heard.probability:.0%}"
    if heard.nobody_spoke:
        # The answer would read as if somebody had been heard.
        answer = Text("no speech found", "bold yellow") + Text("   as a voice it would be ", "dim") + answer
    elif heard.abstain:
        answer += Text("   too unsure to say: the best guess only", "yellow")
    target.print(Text("  ") + answer)
    target.print()
    width = max(map(len, heard.probabilities))
    for emotion, probability in sorted(heard.probabilities.items(), key=lambda pair: -pair[1]):
        bar = Text("█" * round(probability * _BAR) or "▏", style=shades[emotion])
        target.print(Text(f"  {emotion:<{width}} {probability:6.1%} ") + bar)
    target.print()
    target.print(Text("  ") + Text(_attention(heard), shades[heard.emotion]))
    end = f"{heard.duration_s:.2f} s"
    target.print(Text(f"  0{end:>{_LINE - 1}}", "dim"))
    time_s, weight = max(heard.attention, key=lambda pair: pair[1])
    voice = f"voice from {heard.voiced_start_s:.2f} to {heard.voiced_end_s:.2f} s"
    if any(caution.code in ("no-speech", "no-voiced-span") for caution in heard.warnings):
        voice = "no voice stands out"  # the span is then the whole recording, or another sound's
    target.print(f"  {voice}, heard most at {time_s:.2f} s ({weight:.0%} of the attention)")
    for caution in heard.warnings:
        target.print(Text("  ! ", "bold yellow") + Text(caution.message))


def _attention(heard: Prediction) -> str:
    """The attention over the whole recording, one character a stretch; blank where nothing was listened to."""
    weights = [0.0] * _LINE
    starts = [time_s for time_s, _ in heard.attention]
    ends = [*starts[1:], heard.voiced_end_s]
    for (start_s, weight), end_s in zip(heard.attention, ends, strict=True):
        first = min(int(start_s / heard.duration_s * _LINE), _LINE - 1)
        last = max(min(round(end_s / heard.duration_s * _LINE), _LINE), first + 1)
        for place in range(first, last):
            weights[place] = max(weights[place], weight)
    highest = max(weights) or 1.0
    return "".join(_HEIGHTS[round(weight / highest * (len(_HEIGHTS) - 1))] if weight else " " for weight in weights)
