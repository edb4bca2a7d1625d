"""Find a model folder by the name of the model: in the package, on this machine, or on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from emocatcher.foundation.errors import ModelError, did_you_mean
from emocatcher.models import hub, model_folder


def find_folder(model: str | Path | None) -> Path:
    """Find the model folder that `load` opens; a model on the hub is downloaded.

    Raises:
        ModelError: if there is no such model.
    """
    name = model_folder.BUNDLED if model is None else str(model)
    if model is not None and Path(model).exists():
        return Path(model)
    if (folder := model_folder.bundled(name)) is not None:
        return folder
    if isinstance(model, str) and hub.looks_like_name(model):
        return hub.fetch(model)
    names = model_folder.bundled_names()
    raise ModelError(
        f"No model '{name}'.{did_you_mean(name, names)} Give a model folder, {' or '.join(names)} (included in "
        "emocatcher), or owner/name on the Hugging Face hub"
    )
