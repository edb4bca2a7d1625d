"""`emocatcher embed`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import completion, options

if TYPE_CHECKING:
    from emocatcher.recognition.embedding_tables import Done

EXAMPLES = (
    "emocatcher embed calls/ --out embeddings.parquet",
    "emocatcher embed '*.wav' --out embeddings.npz --workers 2",
    "emocatcher embed calls/ --channels each --out embeddings.parquet --resume",
)


def embed(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS",
            help="Files, folders, quoted patterns, URIs, or lists (tables with a column path, or .txt).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The table to write.")],
    model: options.Model = None,
    channels: options.Channels = "mix",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="parquet, npz or csv; by default the suffix of --out.",
            metavar="KIND",
            autocompletion=completion.embedding_formats,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 means one per core.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the table in --out, or add new recordings to it.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the table in --out.")] = False,
) -> None:
    """Write the vector from which the model answers, for each recording."""
    from emocatcher.cli import screen
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import one_line
    from emocatcher.recognition import batch, embedding_tables
    from emocatcher.recognition.recognizer import load

    if resume and overwrite:
        raise typer.BadParameter(
            "--overwrite would replace the table to resume. Give only one of them", param_hint="--resume"
        )
    kind = embedding_tables.format_of(format_, out)
    names = batch.expand(recordings, on_note=lambda note: typer.echo(f"Note: {one_line(note)}", err=True))
    with screen.progress(unit="files") as start:
        advance = start("embed")

        def show(done: Done) -> None:
            advance(done.n, len(names), f"{done.n_failed} failed" if done.n_failed else "")

        try:
            state = embedding_tables.embed_batch(
                load(model), names, out, kind=kind, channels=channels,
                workers=workers or process_setup.usable_cores(), resume=resume, overwrite=overwrite, on_row=show,
            )  # fmt: skip
        except KeyboardInterrupt:
            rest = f"Resume with --resume --out {one_line(out)}"
            typer.echo(f"Stopped. All finished rows are kept. {rest}", err=True)
            raise typer.Exit(130) from None
    if state.n_failed:
        typer.echo(f"{state.n_failed} of {state.n} recordings failed: see their rows", err=True)
        raise typer.Exit(1)
