"""`emocatcher fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion

EXAMPLES = ("emocatcher fetch ravdess --to ~/corpora/ravdess",)


def fetch(
    corpus: Annotated[
        str, typer.Argument(help="The corpus to download: ravdess (208 MB).", autocompletion=completion.corpora)
    ],
    to: Annotated[
        Path | None, typer.Option(help="The folder to unpack it in; by default the user's cache.", show_default=False)
    ] = None,
) -> None:
    """Download, verify (MD5) and unpack a corpus, or name the address of one that is got by hand. Resumes."""
    from emocatcher.cli import screen
    from emocatcher.corpora import cards
    from emocatcher.corpora.download import fetch_ravdess
    from emocatcher.foundation.errors import CorpusNotFoundError, suggest

    if corpus != "ravdess":
        if (card := cards.find(corpus)) is None:
            raise CorpusNotFoundError(suggest(corpus, cards.names(), "corpus"))
        raise CorpusNotFoundError(
            f"{corpus} is not downloaded by this command. Get it from {card.address} and unpack it into "
            f"$EMOCATCHER_CORPORA/{corpus}. What its licence permits: emocatcher corpora {corpus}"
        )
    with screen.progress(unit="MB") as start:
        advance = start("download")
        place = fetch_ravdess(to, on_progress=lambda done, total: advance(done // 1_000_000, total // 1_000_000, "MB"))
    screen.console().print(f"RAVDESS is in {place}. Check it with: emocatcher check {to or 'ravdess'}", markup=False)
