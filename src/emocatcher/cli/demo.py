"""`emocatcher demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import options

EXAMPLES = ("emocatcher demo --out runs",)


def demo(
    out: Annotated[Path, typer.Option(help="The folder in which to create the run folder.")] = Path("runs"),
    epochs: options.Epochs = None,
) -> None:
    """Run the published hold-out experiment on RAVDESS, or on synthetic voices if RAVDESS is unavailable."""
    from emocatcher.cli import screen
    from emocatcher.cli.fetch import fetch
    from emocatcher.cli.train import train
    from emocatcher.corpora import locate
    from emocatcher.foundation.errors import DownloadError

    corpus = "ravdess"
    if locate(corpus) is None:
        try:
            fetch(corpus)
        except DownloadError as error:
            corpus = "synthetic"
            screen.console(stderr=True).print(
                f"{error} Using the synthetic corpus instead: its voices are generated, so its scores mean nothing.",
                markup=False,
            )
    folder = out / (f"demo-{corpus}" if epochs is None else f"demo-{corpus}-{epochs}-epochs")
    train("reference-holdout", folder, corpus=corpus, epochs=epochs, resume=True)
