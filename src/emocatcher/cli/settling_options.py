"""Options that change a model's answers: what it settled on, and the emotions that it may answer with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emocatcher.recognition.recognizer import Recognizer

SettledFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Use what `emocatcher settle` wrote for such recordings.")
]
Emotions = Annotated[
    str | None,
    typer.Option(metavar="A,B,…", help="Answer with these emotions only; the others are left out.", show_default=False),
]


def adjust(recognizer: Recognizer, settled: Path | None, emotions: str | None) -> Recognizer:
    """Return the recogniser with what the options name.

    Raises:
        SettingError: if the file is of another model, or an emotion is not among the model's.
    """
    from emocatcher.recognition import settling

    if settled is not None:
        recognizer = recognizer.with_settled(settling.read(settled, recognizer.config))
    if (chosen := names(emotions)) is not None:
        recognizer = recognizer.only(chosen)
    return recognizer


def names(emotions: str | None) -> list[str] | None:
    """Return the emotions that the option names; None without it."""
    return None if emotions is None else [name.strip() for name in emotions.split(",") if name.strip()]


def settle(recognizer: Recognizer, names: Sequence[str], n_workers: int, channels: str = "mix") -> Recognizer:
    """Return the recogniser settled on a sample of the recordings, and print on how many.

    Raises:
        SettingError: if fewer than five of the recordings have speech.
    """
    from emocatcher.cli import screen
    from emocatcher.recognition import settling

    chosen, n_done = settling.sample(names), 0
    with screen.progress(unit="files") as start:
        advance = start("settle")

        def show(_: object) -> None:
            nonlocal n_done
            n_done += 1
            advance(n_done, max(n_done, len(chosen)), "")  # with a row for each channel there are more

        found = settling.settle(recognizer, chosen, n_workers, show, channels)
    part = "" if len(chosen) == len(names) else f" of {len(names)}"
    typer.echo(f"Settled on {found.n_recordings}{part} recordings", err=True)
    return recognizer.with_settled(found)
