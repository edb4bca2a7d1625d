"""Publish a model folder on the Hugging Face hub: exactly the files of a model, with its card and its licences."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from emocatcher import __version__
from emocatcher.foundation.errors import MissingExtraError, ModelError, one_line
from emocatcher.models import hub, model_folder
from emocatcher.models.model_folder import Bundle, licence_files, model_card

_MOST_CAUSES = 9

Files = Mapping[str, bytes | Path]  # name in the repository → content, or the file with it


class Pushed(msgspec.Struct, frozen=True):
    """A finished upload."""

    address: str
    private: bool


def files(model: Bundle, name: str) -> dict[str, bytes | Path]:
    """Return what is sent for a model, and nothing else of its folder.

    Args:
        model: the opened folder.
        name: "owner/name".

    Raises:
        ModelError: if the name is none of the hub's, or the card cannot be read.
    """
    if not hub.looks_like_name(name) or "@" in name:
        raise ModelError(f"'{name}' is not a name on the Hugging Face hub. Write owner/name")
    try:
        card = (model.path / model_folder.CARD).read_text(encoding="utf-8")
    except FileNotFoundError:
        card = model_card.text(model.config)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{model.path / model_folder.CARD} cannot be read: {error}") from None
    texts = {model_folder.CARD: model_card.for_hub(card, model.config, name), **licence_files.files(model.config)}
    kept = (model_folder.CONFIG, model_folder.WEIGHTS, model_folder.ONNX)
    return {**{part: model.path / part for part in kept}, **{part: text.encode() for part, text in texts.items()}}


def endpoint() -> str:
    """Return the address of the hub, which HF_ENDPOINT sets.

    Raises:
        MissingExtraError: if huggingface_hub is not installed.
    """
    _import()
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def push(name: str, sent: Files, *, private: bool = True, overwrite: bool = False) -> Pushed:
    """Create a repository, and send files to it as one commit.

    The token is that of HF_TOKEN, or of `hf auth login`; no message contains it.

    Args:
        name: "owner/name".
        sent: the files, as `files` returns them.
        private: whether a new repository is private; one that exists stays as it is.
        overwrite: send the files to a repository that has files; the earlier ones stay in its history.

    Raises:
        ModelError: if there is no token, or the hub refuses it or the files, cannot be reached, or has such a
            repository and `overwrite` is not set.
        MissingExtraError: if huggingface_hub is not installed.
    """
    _import()
    from huggingface_hub import CommitOperationAdd, HfApi, errors, get_token
    from huggingface_hub.utils.tqdm import disable_progress_bars

    token = get_token()
    if not token:
        raise ModelError(
            "There is no token of the Hugging Face hub. Log in with `hf auth login`, or set HF_TOKEN to a token that "
            "may write"
        )
    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi(token=token, library_name="emocatcher", library_version=__version__)
    with _named_errors(name, token):
        found = None
        with contextlib.suppress(errors.RepositoryNotFoundError):
            found = api.model_info(name)
        if found is None:
            api.create_repo(name, private=private, exist_ok=True)
        else:
            there = [one.rfilename for one in found.siblings or () if one.rfilename != ".gitattributes"]
            private = bool(found.private)
            if there and not overwrite:
                shown = ", ".join(there[:4]) + (" …" if len(there) > 4 else "")
                raise ModelError(
                    f"'{name}' on the Hugging Face hub has files already ({shown}). Give --overwrite to replace them; "
                    "they stay in its history"
                )
        operations = [CommitOperationAdd(path_in_repo=part, path_or_fileobj=what) for part, what in sent.items()]
        api.create_commit(name, operations, commit_message="Model of emocatcher")
    return Pushed(f"{endpoint()}/{name}", private)


def _import() -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise MissingExtraError("Publishing on the Hugging Face hub", "hub") from None


@contextlib.contextmanager
def _named_errors(name: str, token: str) -> Iterator[None]:
    """Turn the library's errors into one line that names what to do, and never contains the token."""
    try:
        yield
    except (ModelError, KeyboardInterrupt):
        raise
    except Exception as error:  # the HTTP clients' errors have no common base class with the library's
        causes = list(_causes(error))
        found = [getattr(getattr(one, "response", None), "status_code", None) for one in causes]
        status = next(filter(None, found), None)
        if status == 401:
            what, todo = "does not accept the token", "Log in again with `hf auth login`, or set HF_TOKEN"
        elif status == 403:
            what = f"does not allow this token to write to '{name}'"
            todo = "Use a token that may write, and a name of your own or of your organisation"
        else:
            words = (str(causes[-1]).strip().splitlines() or [type(causes[-1]).__name__])[0]
            reason = one_line(words).replace(token, "…")[:300]
            what = f"answered {status}: {reason}" if status else f"cannot be reached, or broke off: {reason}"
            todo = "Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE, and run it again"
        raise ModelError(f"'{name}' was not published: the hub at {endpoint()} {what.rstrip('.')}. {todo}") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what it was raised from."""
    for _ in range(_MOST_CAUSES):
        if error is not None:
            yield error
            error = error.__cause__
