"""Distillation: a student network is trained on the mean probabilities of several trained networks.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", at temperature 1. A teacher must not have been
trained on what its student is tested on, so it is the network of the same fold of another run.
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
from emocatcher.models.onnx_graphs import stored_weights


class Teachers:
    """Several networks whose probabilities are averaged.

    Args:
        folders: model folders with the front end and the network settings of the student.
        settings: the student's settings.
        labels: the student's labels.
        device: the student's device.

    Raises:
        RunError: if a teacher has another front end, voice activity detector, network or labels than the student.
        ModelError: if a teacher cannot be read.
    """

    def __init__(
        self, folders: Sequence[Path], settings: Settings, labels: tuple[str, ...], device: str = "cpu"
    ) -> None:
        self._networks = []
        for folder in folders:
            opened = model_folder.read(folder)
            theirs = opened.config.settings
            for section in ("front_end", "vad", "network"):
                if getattr(theirs, section) != getattr(settings, section):
                    raise RunError(
                        f"The teacher {folder} has another [{section}] than the student. Give runs of one recipe"
                    )
            if opened.config.labels != labels:
                raise RunError(
                    f"The teacher {folder} has other emotions than the student. Give runs on the same corpus"
                )
            network = registry.build(theirs, len(labels), len(opened.config.dimensions)).eval()
            weights = stored_weights.read(opened)
            network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
            self._networks.append(network.to(device))
        self._n_classes = len(labels)

    @torch.no_grad()
    def __call__(self, prepared: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean probabilities, shape (batch, n_classes).

        The student's `prepare` serves all networks: its statistics are of the training part, which they share.

        Args:
            prepared: the output of the student's `prepare`.
            lengths: shape (batch,), valid frames.
        """
        logits = [network.classify(prepared, lengths)[0][:, : self._n_classes] for network in self._networks]
        return torch.stack([torch.softmax(one, dim=1) for one in logits]).mean(dim=0)
