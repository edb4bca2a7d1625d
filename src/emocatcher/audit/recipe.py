"""What of a recipe learns from data, and from whose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from emocatcher.config import Settings

Part = Literal["train", "valid", "test"]


class Fitted(msgspec.Struct, frozen=True):
    """Something that a recipe estimates from recordings."""

    what: str
    parts: tuple[Part, ...]


# Section of the settings → what it fits. One that takes each recording by itself, as the front end's floor below a
# clip's own maximum does, fits nothing. A section that is not named here is taken for a leak: whoever adds one says
# here what it learns, and from which parts.
FITTED: dict[str, tuple[Fitted, ...]] = {
    "front_end": (),
    "vad": (),
    "network": (Fitted("the weights and the statistics of bands and batches", ("train",)),),
    "optimiser": (),
    "schedule": (Fitted("the learning rate", ("train",)),),
    "augmentation": (),
    "training": (),  # which part its `selection` looks at is a leak of its own kind
}


def beyond_training(settings: Settings, fitted: Mapping[str, Iterable[Fitted]] | None = None) -> list[str]:
    """Name what a recipe fits on more than the training part.

    Args:
        settings: the recipe.
        fitted: what each section of the settings fits; `FITTED` by default.

    Returns:
        one phrase each; empty where nothing is.
    """
    known = FITTED if fitted is None else fitted
    sections = [name for name in settings.__struct_fields__ if name != "preset"]
    unknown = [f"what [{name}] learns is not known" for name in sections if name not in known]
    return unknown + [
        f"{one.what} of [{name}]: fitted on {' and '.join(one.parts)}"
        for name in sections
        for one in known.get(name, ())
        if set(one.parts) - {"train"}
    ]
