"""A model's name on the Hugging Face hub → its model folder here: safetensors and ONNX only, nothing pickled."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from emocatcher import bundle
from emocatcher.errors import MissingExtraError, ModelError

# Exactly the files of a model folder: whatever else lies in a repository never reaches this machine.
_FILES = (bundle.CONFIG, bundle.WEIGHTS, bundle.ONNX, bundle.CARD)
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_]|[.-](?![.-]))*"
_NAME = re.compile(rf"(?=[^/@]+/[^@]{{1,96}}(?:@|$))({_PART}/{_PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?")


class _OurConfig(msgspec.Struct):
    """What tells this project's `config.json` from the many others on the hub."""

    format: int
    labels: tuple[str, ...]
    sha256: dict[str, str]


def looks_like_name(text: str) -> bool:
    """Whether a text could name a model on the hub: "owner/name", with "@revision" behind it or not.

    Examples:
        >>> looks_like_name("owner/cabg"), looks_like_name("owner/cabg@v1.0")
        (True, True)
        >>> looks_like_name("cabg"), looks_like_name("./runs/cabg"), looks_like_name("runs/cabg/last")
        (False, False, False)
    """
    return _NAME.fullmatch(text) is not None


def fetch(name: str, *, revision: str | None = None) -> Path:
    """Bring a model from the Hugging Face hub; what is in its cache already is not transferred again.

    HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean to every program that uses the hub. Whether
    the parts are those that were published is for `bundle.read` to check.

    Args:
        name: "owner/name", or "owner/name@revision".
        revision: a branch, a tag or a commit; None for the one in the name, or the repository's main branch.

    Returns:
        the model folder, in the hub's cache.

    Raises:
        ModelError: if it cannot be had, or is not a model folder of this project.
        MissingExtraError: if huggingface_hub is not installed.
    """
    if (parts := _NAME.fullmatch(name)) is None:
        raise ModelError(f"'{name}' is not a name on the Hugging Face hub. Write owner/name or owner/name@revision")
    repository, wanted = parts[1], revision or parts[2]
    # The small file first: a repository of another kind may hold gigabytes under the same names.
    found = _download(repository, wanted, [bundle.CONFIG])
    try:
        msgspec.json.decode((found / bundle.CONFIG).read_bytes(), type=_OurConfig)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise ModelError(
            f"'{name}' on the Hugging Face hub is not a model of emocatcher: it has no {bundle.CONFIG} that "
            "`emocatcher train` or `emocatcher convert` wrote. Name another model"
        ) from None
    # A snapshot's folder is named by its commit: the parts are of one and the same, whatever is pushed meanwhile.
    folder = _download(repository, found.name, list(_FILES))
    if missing := [file for file in (bundle.WEIGHTS, bundle.ONNX) if not (folder / file).is_file()]:
        raise ModelError(f"'{name}' on the Hugging Face hub lacks {' and '.join(missing)}. Name another model")
    return folder


def _download(repository: str, revision: str | None, files: list[str]) -> Path:
    try:
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils.tqdm import tqdm
    except ImportError:
        raise MissingExtraError(
            f"Fetching '{repository}' from the Hugging Face hub (it is no folder here)", "hub"
        ) from None

    class Bar(tqdm):
        """Drawn on a terminal, never into a log or a pipe."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options["disable"] = not sys.stderr.isatty()
            super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=files, tqdm_class=Bar))
    except errors.GatedRepoError as error:
        reason = (
            f"'{repository}' asks for its owner's leave: accept its terms on the hub, and log in with `hf auth login`"
        )
        raise ModelError(reason) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"There is no folder '{repository}' here, and no public model of that name on the Hugging Face hub. "
            "Check the spelling; for a private one log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"'{repository}' on the Hugging Face hub has no revision '{revision}'. Name one of its branches or tags"
        ) from error
    except Exception as error:  # the HTTP client's own errors are not the library's, nor of one family
        lines = str(error).removeprefix("Got: ").strip().splitlines()
        raise ModelError(
            f"'{repository}' cannot be had from the Hugging Face hub: {lines[0] if lines else type(error).__name__}. "
            "Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE, or name a model folder on this machine"
        ) from error
