"""`emocatcher label`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import options, server_options

EXAMPLES = (
    "emocatcher label folder/ --out my.csv",
    "emocatcher label folder/ --out my.csv --labels satisfied,annoyed,neutral --shuffle 1",
    "emocatcher label people/ --out my.csv --speaker-folders",
    "emocatcher label calls/ --out my.csv --channels left",
    "emocatcher label clips.csv --out anna.csv --listener anna --no-guess",
)


def label(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS",
            help="Files, folders, quoted patterns, or tables with a column path and perhaps speaker.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE.csv", help="The table of labels, written after each; one that is there is continued."
        ),
    ],
    labels: Annotated[
        str,
        typer.Option(metavar="A,B", help="Up to nine labels; by default the eight emotions.", show_default=False),
    ] = "",
    listener: Annotated[
        str, typer.Option(metavar="NAME", help="Who listens; written next to each label.", show_default=False)
    ] = "",
    speaker_folders: Annotated[
        bool, typer.Option("--speaker-folders", help="The sub-folders of a folder are named after the speakers.")
    ] = False,
    shuffle: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            help="Ask in a random order; by default in the order of the names given, and by path in folders.",
        ),
    ] = None,
    channels: options.OneChannel = "mix",
    model: options.Model = None,
    no_guess: Annotated[
        bool, typer.Option("--no-guess", help="Do not show the model's guess after each label, nor write it.")
    ] = False,
    host: server_options.Host = "127.0.0.1",
    port: server_options.Port = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    token: server_options.Token = None,
    allow_host: server_options.AllowHost = None,
) -> None:
    """Label recordings by ear, in the browser: listen, press a key, next. Stop with Ctrl-C, and continue later."""
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import one_line

    server_options.check_installed("The labelling page")
    from emocatcher.server import labelling, run, worker_process
    from emocatcher.server.service import Options
    from emocatcher.server.temporary_folder import TemporaryFolder

    options.one_channel(channels)
    chosen = labelling.parse_labels(labels)
    clips = labelling.find_clips(
        recordings,
        lambda note: typer.echo(f"Note: {one_line(note)}", err=True),
        speaker_folders=speaker_folders,
    )
    if shuffle is not None:
        clips = labelling.shuffle(clips, shuffle)
    folder_of_model = server_options.model_folder(model)
    guessed = () if no_guess else _labels_of(folder_of_model)
    with labelling.LabelTable(out, listener) as table:
        session = labelling.LabelSession(clips, table, chosen, str(out), guessed, channels)
        settings = Options(
            model=folder_of_model,
            host=host,
            port=port,
            n_workers=min(process_setup.usable_cores(), 2),  # one reads the next clip while the other recognises
            tokens=server_options.all_tokens(token),
            hosts=tuple(allow_host or ()),
            labelling=session,
        )
        if run.reachable_without_token(settings):
            how = f"Set {server_options.TOKENS} or --token"
            typer.echo(f"Warning: anyone who can reach {host} can change the labels. {how}", err=True)

        def announce(address: str) -> None:
            typer.echo(f"The labelling page is at {address}. Stop it with Ctrl-C", err=True)
            if not no_browser:
                typer.launch(address)

        folder = TemporaryFolder()
        worker_process.prepare(folder)
        run.serve(settings, folder, announce)
        n_labelled, n_skipped = session.count()
    skipped = f", {n_skipped} skipped" if n_skipped else ""
    typer.echo(f"{one_line(out)}: {n_labelled} of {len(clips)} clips labelled{skipped}")
    if n_labelled + n_skipped < len(clips):
        typer.echo("Run the same command again to go on")
    elif n_labelled:
        side = "" if channels == "mix" else f" --channels {channels}"
        command = f"emocatcher adapt {shlex.quote(str(out))}{side} --to models/mine"
        several = len({clip.speaker for clip in clips} - {None, ""}) > 1
        typer.echo(f"Next: {'keep some speakers apart for a test, then: ' * several}{command}")


def _labels_of(folder: str | None) -> tuple[str, ...]:
    from emocatcher.models import finding, model_folder

    return tuple(model_folder.read(finding.find_folder(folder)).config.labels)
