"""Where a training is tracked: the argument of `--track`, read and checked."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import msgspec

from emocatcher.foundation import uris
from emocatcher.foundation.errors import MissingExtraError, SettingError, suggest

# The name on paper, and the module that has to be installed; the extra has the name of the kind.
KINDS = {
    "tensorboard": ("TensorBoard", "tensorboard"),
    "trackio": ("Trackio", "trackio"),
    "mlflow": ("MLflow", "mlflow"),
}


class Target(msgspec.Struct, frozen=True):
    """What tracks a training, and where."""

    kind: str  # one of `KINDS`
    where: str  # a folder, a project or the address of a server; "" for the usual one
    is_shared: bool = True  # whether there may be other trainings: not in TensorBoard's folder of one run

    def __str__(self) -> str:
        """Return what may be shown: without users, passwords and tokens."""
        name = KINDS[self.kind][0]
        return f"{name} at {uris.redacted(self.where)}" if self.where else name


def parse(text: str, out: Path) -> Target:
    """Read the argument of `--track`.

    Args:
        text: `tensorboard`, `trackio` or `mlflow`, each alone or with a colon and a place: a folder, a project of
            Trackio, or the address of a server.
        out: the folder that the training writes.

    Raises:
        SettingError: if the kind is unknown, or TensorBoard is given the address of a server.
        MissingExtraError: if what writes it is not installed.
    """
    kind, _, where = text.strip().partition(":")
    if kind not in KINDS:
        raise SettingError(f"{suggest(kind, KINDS, 'tracker')}. Give one of them, or KIND:PLACE")
    name, module = KINDS[kind]
    if find_spec(module) is None:
        raise MissingExtraError(f"Tracking with {name}", kind)
    if kind == "tensorboard":
        if "://" in where:
            raise SettingError(f"TensorBoard reads folders, and {uris.redacted(where)} is an address. Give a folder")
        if not where:
            return Target(kind, str(out / "tensorboard"), is_shared=False)
    if kind == "trackio" and "/" in where and not is_server(where):
        raise SettingError(
            f"{uris.redacted(where)} is not a project of Trackio, which has no slash. Give a name, or the address of a "
            "server; TRACKIO_DIR sets the folder"
        )
    if kind == "mlflow":
        where = where or os.environ.get("MLFLOW_TRACKING_URI", "")
    return Target(kind, where)


def is_server(where: str) -> bool:
    """Return whether a place is the address of a web server."""
    return uris.is_uri(where) and uris.scheme_of(where) in uris.WEB
