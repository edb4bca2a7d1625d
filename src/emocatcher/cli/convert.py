"""`emocatcher convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = ("emocatcher convert best_model.pth --to models/published",)


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A .pth checkpoint published by EmoCatcher in 2023.")],
    to: Annotated[Path, typer.Option(metavar="MODEL_DIR", help="The model folder to write.")],
) -> None:
    """Convert a published checkpoint to a model folder. No pickled code is executed."""
    from emocatcher.cli import screen
    from emocatcher.models.published_checkpoint import convert as converting

    made = converting(checkpoint, to)
    screen.console().print(
        f"{made.config.name}: {made.config.n_parameters:,} parameters, written to {to}", markup=False
    )
