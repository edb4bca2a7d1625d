"""The list of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from emocatcher.cli import check, convert, corpora, demo, evaluate, fetch, predict, report, train

app = typer.Typer(
    name="emocatcher",
    help="Speech emotion recognition: an emotion, how sure, and where in the sound it was heard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from emocatcher import __version__

        typer.echo(f"emocatcher {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


for _module in (demo, corpora, fetch, check, train, evaluate, report, convert, predict):
    _name = _module.__name__.rpartition(".")[2]
    # Blank lines keep the examples from being run together.
    app.command(_name, epilog="\n\n".join(("For example:", *_module.EXAMPLES)))(getattr(_module, _name))
