"""Download a model folder from the Hugging Face hub by its name: safetensors and ONNX only, nothing pickled."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from emocatcher.foundation.errors import MissingExtraError, ModelError
from emocatcher.models import model_folder

# Exactly the files of a model folder; other files of a repository are never downloaded.
_FILES = (model_folder.CONFIG, model_folder.WEIGHTS, model_folder.ONNX, model_folder.CARD)
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_]|[.-](?![.-]))*"
_NAME = re.compile(rf"(?=[^/@]+/[^@]{{1,96}}(?:@|$))({_PART}/{_PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?")


class _OurConfig(msgspec.Struct):
    """The fields that distinguish this project's `config.json` from others on the hub."""

    format: int
    labels: tuple[str, ...]
    sha256: dict[str, str]


def looks_like_name(text: str) -> bool:
    """Return whether a text could name a model on the hub: "owner/name" or "owner/name@revision".

    Examples:
        >>> looks_like_name("owner/cabg"), looks_like_name("owner/cabg@v1.0")
        (True, True)
        >>> looks_like_name("cabg"), looks_like_name("./runs/cabg"), looks_like_name("runs/cabg/last")
        (False, False, False)
    """
    return _NAME.fullmatch(text) is not None


def fetch(name: str, *, revision: str | None = None) -> Path:
    """Download a model from the Hugging Face hub; files that are in the hub's cache are not downloaded again.

    HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE work as for every program that uses the hub. `bundle.read` checks
    the hashes of the files.

    Args:
        name: "owner/name", or "owner/name@revision".
        revision: a branch, a tag or a commit; None for the one in the name, or the repository's main branch.

    Returns:
        the model folder, in the hub's cache.

    Raises:
        ModelError: if it cannot be downloaded, or is not a model folder of this project.
        MissingExtraError: if huggingface_hub is not installed.
    """
    if (parts := _NAME.fullmatch(name)) is None:
        raise ModelError(f"'{name}' is not a name on the Hugging Face hub. Write owner/name or owner/name@revision")
    repository, wanted = parts[1], revision or parts[2]
    # Download the small file first: another kind of repository may have gigabytes under the same file names.
    snapshot = download(repository, wanted, [model_folder.CONFIG])
    try:
        msgspec.json.decode((snapshot / model_folder.CONFIG).read_bytes(), type=_OurConfig)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ModelError(
            f"'{name}' on the Hugging Face hub is not an emocatcher model: it has no {model_folder.CONFIG} written by "
            "`emocatcher train` or `emocatcher convert`. Name another model"
        ) from None
    # The snapshot's folder is named after its commit, so all files are of one commit, whatever is pushed meanwhile.
    folder = download(repository, snapshot.name, list(_FILES))
    if missing := [file for file in (model_folder.WEIGHTS, model_folder.ONNX) if not (folder / file).is_file()]:
        raise ModelError(f"'{name}' on the Hugging Face hub lacks {' and '.join(missing)}. Name another model")
    return folder


def download(repository: str, revision: str | None, files: list[str]) -> Path:
    """Download files of a repository, if they are not in the hub's cache; return its folder there.

    Raises:
        ModelError: if they cannot be downloaded.
        MissingExtraError: if huggingface_hub is not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    try:
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils.tqdm import tqdm
    except ImportError:
        raise MissingExtraError(
            f"Downloading '{repository}' from the Hugging Face hub (there is no such folder here)", "hub"
        ) from None

    class Bar(tqdm):
        """A progress bar that is shown on a terminal only, not in a log or a pipe."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options["disable"] = not sys.stderr.isatty()
            super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=files, tqdm_class=Bar))
    except errors.GatedRepoError as error:
        reason = (
            f"'{repository}' needs its owner's permission. Accept its terms on the hub, and log in with `hf auth login`"
        )
        raise ModelError(reason) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"There is no folder '{repository}' here, and no public model of that name on the Hugging Face hub. "
            "Check the spelling; for a private model, log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"'{repository}' on the Hugging Face hub has no revision '{revision}'. Name one of its branches or tags"
        ) from error
    except Exception as error:  # the HTTP client's errors have no common base class with the library's
        reason = (str(error).removeprefix("Got: ").strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"'{repository}' cannot be downloaded from the Hugging Face hub: {reason}. "
            "Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE, or name a model folder on this machine"
        ) from error
