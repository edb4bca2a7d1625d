"""Several trained networks as one teacher: what they say on average, a student learns to say alone.

Distillation (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"), at the temperature 1. A teacher must
not have heard what its student is tested on: it is the same fold's network of another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from emocatcher.foundation.errors import RunError
from emocatcher.foundation.settings import Settings
from emocatcher.models import model_folder
from emocatcher.models.networks import registry


class Teachers:
    """Networks that answer together.

    Args:
        folders: model folders, of the student's own front end and kind of network.
        settings: the student's.
        labels: the student's.

    Raises:
        RunError: if one of them hears or says something else than the student.
        ModelError: if one of them cannot be read.
    """

    def __init__(self, folders: Sequence[Path], settings: Settings, labels: tuple[str, ...]) -> None:
        self._networks = []
        for folder in folders:
            opened = model_folder.read(folder)
            theirs = opened.config.settings
            for section in ("front_end", "vad", "network"):
                if getattr(theirs, section) != getattr(settings, section):
                    raise RunError(f"{folder} has another [{section}] than its student. Give runs of the same recipe")
            if opened.config.labels != labels:
                raise RunError(f"{folder} knows other emotions than its student. Give runs on the same corpus")
            network = registry.build(theirs, len(labels)).eval()
            network.load_state_dict({name: torch.from_numpy(value) for name, value in opened.weights().items()})
            self._networks.append(network)

    @torch.no_grad()
    def __call__(self, prepared: Tensor, lengths: Tensor) -> Tensor:
        """Their mean probabilities, shape (batch, n_classes), of what the student's `prepare` gave.

        The bands' statistics in `prepare` are of the training part, which is the same for all of them.
        """
        said = [torch.softmax(network.classify(prepared, lengths)[0], dim=1) for network in self._networks]
        return torch.stack(said).mean(dim=0)
