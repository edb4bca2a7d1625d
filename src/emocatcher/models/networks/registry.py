"""Every kind of network, by its section of a recipe: the PyTorch module.

A new network needs a struct in `foundation/settings/recipe.py`, a file with the module and an entry here, a file with
the ONNX twin and an entry in `models/onnx_graphs/networks.py`. PyTorch is imported only when a network is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emocatcher.foundation.settings import CABGNetwork, FrontEnd, Network, ResidualNetwork, Settings

if TYPE_CHECKING:
    from emocatcher.models.networks.emotion_network import EmotionNetwork

Builder = Callable[[Any, FrontEnd, int], "EmotionNetwork"]  # (settings, front end, n_classes) → the network


def _cabg(settings: CABGNetwork, front_end: FrontEnd, n_classes: int) -> EmotionNetwork:
    from emocatcher.models.networks.cabg import CABGModule

    return CABGModule(settings, front_end, n_classes)


def _residual(settings: ResidualNetwork, front_end: FrontEnd, n_classes: int) -> EmotionNetwork:
    from emocatcher.models.networks.residual import ResidualModule

    return ResidualModule(settings, front_end, n_classes)


BUILDERS: Mapping[type[Network], Builder] = {CABGNetwork: _cabg, ResidualNetwork: _residual}


def build(settings: Settings, n_classes: int) -> EmotionNetwork:
    """Build the network of a recipe, with fresh weights drawn from PyTorch's global generator.

    Args:
        settings: the recipe.
        n_classes: number of emotions.
    """
    return BUILDERS[type(settings.network)](settings.network, settings.front_end, n_classes)
