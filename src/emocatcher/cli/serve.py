"""`emocatcher serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion, options, server_options, settling_options

EXAMPLES = (
    "emocatcher serve --open",
    "emocatcher serve --port 9000 --workers 4 --limit queue=16",
    "EMOCATCHER_TOKENS=secret emocatcher serve --host 0.0.0.0",
)


def serve(
    model: options.Model = None,
    host: server_options.Host = "127.0.0.1",
    port: server_options.Port = 8000,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    workers: Annotated[int, typer.Option(min=0, max=256, help="Worker processes; 0 means one per core.")] = 0,
    listen_corpus: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of clips, named as in RAVDESS, for the guessing game.")
    ] = None,
    settled: settling_options.SettledFile = None,
    token: server_options.Token = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="A site whose pages may use the API; may be repeated.")
    ] = None,
    allow_host: server_options.AllowHost = None,
    access_log: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a line of JSON for each request; - for stdout.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Change a limit; may be repeated. See --limits.",
            autocompletion=completion.limits,
        ),
    ] = None,
    limits: Annotated[bool, typer.Option("--limits", help="Print the limits with their values and exit.")] = False,
) -> None:
    """Serve a web page, an HTTP API and a WebSocket. Stop with Ctrl-C."""
    from emocatcher.foundation import process_setup
    from emocatcher.server import limits as settings

    chosen = settings.parse(limit or ())
    if limits:
        for name in chosen.__struct_fields__:
            typer.echo(f"{name}={getattr(chosen, name)}")
        return
    server_options.check_installed("The server")
    from emocatcher.server.temporary_folder import TemporaryFolder

    folder = TemporaryFolder()
    from emocatcher.server import worker_process

    # Do this first: the worker process imports its modules while this one imports its own.
    worker_process.prepare(folder)
    from emocatcher.server import run
    from emocatcher.server.service import Options

    folder_of_model = server_options.model_folder(model)
    options = Options(
        model=folder_of_model,
        profile=_profile(settled, folder_of_model),
        host=host,
        port=port,
        n_workers=workers or process_setup.usable_cores(),
        limits=chosen,
        tokens=server_options.all_tokens(token),
        origins=tuple(cors or ()),
        listen_corpus=listen_corpus,
        hosts=tuple(allow_host or ()),
        access_log=access_log,
    )
    if run.reachable_without_token(options):
        warning = f"Warning: anyone who can reach {host} can use this server. Set {server_options.TOKENS} or --token"
        typer.echo(warning, err=True)

    def announce(address: str) -> None:
        typer.echo(f"EmoCatcher is at {address} (API: {address}docs). Stop it with Ctrl-C", err=True)
        if open_:
            typer.launch(address)

    run.serve(options, folder, announce)


def _profile(settled: Path | None, folder: str | None) -> bytes:
    if settled is None:
        return b""
    # Loads NumPy, which a server without a profile of its own does not need.
    import msgspec

    from emocatcher.models import finding, model_folder
    from emocatcher.recognition import settling

    return msgspec.json.encode(settling.read(settled, model_folder.read(finding.find_folder(folder)).config))
