"""Check which parts of the corpus each section of a recipe is fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from emocatcher.foundation.settings import Settings

Part = Literal["train", "valid", "test"]


class Fitted(msgspec.Struct, frozen=True):
    """Something that a recipe fits to recordings."""

    what: str
    parts: tuple[Part, ...]


# Section of the settings → what it fits. A section that processes each recording alone, like the front end's floor
# relative to the clip's own maximum, fits nothing. A section that is missing here is reported as a leak; when adding
# a section, list here what it fits and on which parts.
FITTED: dict[str, tuple[Fitted, ...]] = {
    "front_end": (),
    "vad": (),
    "network": (Fitted("the weights and the statistics of bands and batches", ("train",)),),
    "optimiser": (),
    "schedule": (Fitted("the learning rate", ("train",)),),
    "augmentation": (),
    "degradation": (),  # its noise has synthetic voices, none of the corpus
    "encoder": (),  # pretrained on other recordings, and frozen
    "training": (),  # the part that its `selection` uses is checked separately
}


def beyond_training(settings: Settings, fitted: Mapping[str, Iterable[Fitted]] | None = None) -> list[str]:
    """List what a recipe fits on more than the training part.

    Args:
        settings: the recipe.
        fitted: what each section of the settings fits; `FITTED` by default.

    Returns:
        a phrase per finding.
    """
    known = FITTED if fitted is None else fitted
    sections = [name for name in settings.__struct_fields__ if name != "preset"]
    unknown = [f"what [{name}] fits is not declared" for name in sections if name not in known]
    return unknown + [
        f"{one.what} of [{name}]: fitted on {' and '.join(one.parts)}"
        for name in sections
        for one in known.get(name, ())
        if set(one.parts) - {"train"}
    ]
