"""Options and checks that the commands with a server share."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated

import typer

_NEEDED = ("fastapi", "uvicorn", "httptools", "websockets", "python_multipart", "prometheus_client")
TOKENS = "EMOCATCHER_TOKENS"

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 accepts the whole network.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 means any free one.")]
Token = Annotated[
    list[str] | None,
    typer.Option(help=f"A bearer token to require; may be repeated. Or set {TOKENS}, separated by commas."),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A name of this server besides localhost and its address; may be repeated."),
]


def check_installed(what: str) -> None:
    """Check that a server can run here.

    Raises:
        MissingExtraError: if the extra `serve` is not installed.
        SettingError: on Windows.
    """
    from emocatcher.foundation.errors import MissingExtraError, SettingError

    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError(what, "serve")
    if sys.platform == "win32":  # the worker processes fork, and communicate through Unix sockets
        raise SettingError(f"{what} needs Linux or macOS. On Windows, run it in WSL")


def all_tokens(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the tokens of the option and of the environment.

    Blanks around a token are left out, because no request can send them. A token of blanks alone stays, and accepts
    nobody: a variable that was left empty by mistake must not open the server.
    """
    found = [*(given or ()), *os.environ.get(TOKENS, "").split(",")]
    return tuple(token.strip() or token for token in found if token)


def model_folder(model: str | None) -> str | None:
    """Return the model's folder; one of the hub is downloaded once, for all workers. None stays None."""
    if model is None:
        return None
    from emocatcher.models import finding

    return str(finding.find_folder(model).absolute())
