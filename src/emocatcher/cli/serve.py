"""`emocatcher serve`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "emocatcher serve --open",
    "emocatcher serve --port 9000 --workers 4 --limit queue=16",
    "EMOCATCHER_TOKENS=secret emocatcher serve --host 0.0.0.0",
)

_NEEDED = ("fastapi", "uvicorn", "httptools", "websockets", "python_multipart", "prometheus_client")
_TOKENS = "EMOCATCHER_TOKENS"


def serve(
    model: Annotated[
        str | None,
        typer.Option(help="A model folder, or a name on the hub; by default the model that comes with emocatcher."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 is any that is free.")] = 8000,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    workers: Annotated[int, typer.Option(min=0, max=256, help="Processes; 0 is one for each core.")] = 0,
    listen_corpus: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Clips to guess at, named as RAVDESS names them.")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(help=f"A bearer token that is asked for; may be repeated. Also {_TOKENS}, separated by commas."),
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="A site whose pages may ask; may be repeated.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A limit; may be repeated. See --limits.")
    ] = None,
    limits: Annotated[bool, typer.Option("--limits", help="Print the limits and their values, and leave.")] = False,
) -> None:
    """Serve the page, an HTTP API and a WebSocket. Ctrl-C ends."""
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import MissingExtraError
    from emocatcher.server import limits as settings

    chosen = settings.parse(limit or ())
    if limits:
        for name in chosen.__struct_fields__:
            typer.echo(f"{name}={getattr(chosen, name)}")
        return
    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("The server", "serve")
    from emocatcher.server import worker_process

    # First of all: while this process loads what it needs, that one loads what the workers do.
    worker_process.prepare()
    from emocatcher.server import run
    from emocatcher.server.service import Options

    options = Options(
        model=_folder(model),
        host=host,
        port=port,
        n_workers=workers or process_setup.usable_cores(),
        limits=chosen,
        tokens=tuple(filter(None, [*(token or ()), *os.environ.get(_TOKENS, "").split(",")])),
        origins=tuple(cors or ()),
        listen_corpus=listen_corpus,
    )
    if run.reachable_without_token(options):
        typer.echo(f"Warning: anybody who reaches {host} may use this server. Set {_TOKENS}, or --token", err=True)

    def say(address: str) -> None:
        typer.echo(f"EmoCatcher is at {address} (API: {address}docs). Ctrl-C ends it", err=True)
        if open_:
            typer.launch(address)

    run.serve(options, say)


def _folder(model: str | None) -> str | None:
    if model is None:
        return None
    # Fetches it from the hub, once for all workers.
    from emocatcher.recognition import recognizer

    return str(recognizer.folder_of(model).absolute())
