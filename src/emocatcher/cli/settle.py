"""`emocatcher settle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import options, settling_options

EXAMPLES = (
    "emocatcher settle calls/ --to calls.settled.json",
    "emocatcher predict new.wav --settled calls.settled.json",
)


def settle(
    recordings: Annotated[
        list[str], typer.Argument(metavar="RECORDINGS", help="Files, folders, quoted patterns or lists: 25 or more.")
    ],
    to: Annotated[Path, typer.Option(help="The file to write.")],
    model: options.Model = None,
    channels: options.Channels = "mix",
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Worker processes; by default one per core.")
    ] = None,
) -> None:
    """Settle on recordings of one room, microphone, language or voice, without labels, for later predictions."""
    from emocatcher.audio.channels import check
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import one_line
    from emocatcher.recognition import batch, settling
    from emocatcher.recognition.recognizer import load

    check(channels)
    names = batch.expand(recordings, on_note=lambda note: typer.echo(f"Note: {one_line(note)}", err=True))
    recognizer = settling_options.settle(load(model), names, workers or process_setup.usable_cores(), channels)
    if recognizer.settled is not None:
        settling.write(recognizer.settled, to)
        same = f" --model {one_line(model)}" if model else ""
        same += "" if channels == "mix" else f" --channels {channels}"
        typer.echo(
            f"{one_line(to)} is written. Use it with: emocatcher predict RECORDING{same} --settled {one_line(to)}"
        )
