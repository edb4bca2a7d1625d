"""The settings of a recipe: typed structs, read strictly from presets and TOML."""

from emocatcher.foundation.settings.reading import from_toml, load_preset, presets, upgrade
from emocatcher.foundation.settings.recipe import (
    NORM_EPSILON,
    CABGNetwork,
    Encoder,
    EncoderNetwork,
    FrontEnd,
    Network,
    OneCycleSchedule,
    Optimiser,
    Pitch,
    PlateauSchedule,
    ResidualNetwork,
    Schedule,
    Settings,
    Training,
    VoiceActivity,
)  # fmt: skip
from emocatcher.foundation.settings.variation import Augmentation, Degradation

__all__ = [
    "NORM_EPSILON", "Augmentation", "CABGNetwork", "Degradation", "Encoder", "EncoderNetwork", "FrontEnd", "Network",
    "OneCycleSchedule", "Optimiser", "Pitch", "PlateauSchedule", "ResidualNetwork", "Schedule", "Settings", "Training",
    "VoiceActivity", "from_toml", "load_preset", "presets", "upgrade",
]  # fmt: skip
