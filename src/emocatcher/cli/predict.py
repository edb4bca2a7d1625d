"""`emocatcher predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = ("emocatcher predict clip.wav --model runs/holdout/fold_0/last",)

_BAR = 30  # characters


def predict(
    recording: Annotated[Path, typer.Argument(help="A recording, in any common format.")],
    model: Annotated[Path, typer.Option(metavar="MODEL_DIR", help="A model folder.")],
) -> None:
    """Recognise the emotion in a recording."""
    from rich.text import Text

    from emocatcher import inference
    from emocatcher.cli import screen
    from emocatcher.labels import colours

    heard = inference.load(model).predict(recording)
    target = screen.console()
    # As text, not as markup: a file name or a label may hold brackets.
    target.print(Text(f"{screen.one_line(recording)}: ") + Text(heard.emotion, "bold") + f" {heard.probability:.0%}")
    shades = colours(list(heard.probabilities))
    width = max(map(len, heard.probabilities))
    for emotion, probability in sorted(heard.probabilities.items(), key=lambda pair: -pair[1]):
        bar = Text("█" * round(probability * _BAR) or "▏", style=shades[emotion])
        target.print(Text(f"  {emotion:<{width}} {probability:6.1%} ") + bar)
    target.print(f"voiced {heard.voiced_start_s:.2f} to {heard.voiced_end_s:.2f} s of {heard.duration_s:.2f} s")
    time_s, weight = max(heard.attention, key=lambda pair: pair[1])
    target.print(f"heard most at {time_s:.2f} s ({weight:.0%} of the attention)")
    for warning in heard.warnings:
        target.print(f"Note: {warning}", markup=False)
