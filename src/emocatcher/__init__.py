"""EmoCatcher: recognise emotion in speech.

The public names are those of `__all__` and `emocatcher.client.Client`. Every other module is private by convention: it
may move or change between versions.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emocatcher.foundation.errors import (
        AudioError,
        CorpusError,
        EmoCatcherError,
        MissingExtraError,
        ModelError,
        OutputError,
        ProtocolError,
        RunError,
        ServerError,
        SettingError,
    )  # fmt: skip
    from emocatcher.recognition.prediction import Caution, Failure, Prediction
    from emocatcher.recognition.recognizer import Recognizer, load

__version__ = "0.1.0"
__all__ = [
    "AudioError", "Caution", "CorpusError", "EmoCatcherError", "Failure", "MissingExtraError", "ModelError",
    "OutputError", "Prediction", "ProtocolError", "Recognizer", "RunError", "ServerError", "SettingError",
    "__version__", "load",
]  # fmt: skip

# ONNX Runtime and huggingface_hub report their use to their makers unless these are set before they are imported. What
# the user has set stays.
for _variable in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_variable, "1")

_HOMES = dict.fromkeys(["Recognizer", "load"], "recognition.recognizer")
_HOMES |= dict.fromkeys(["Caution", "Failure", "Prediction"], "recognition.prediction")


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `import emocatcher` costs next to nothing.
    if name in __all__:
        return getattr(import_module(f"emocatcher.{_HOMES.get(name, 'foundation.errors')}"), name)
    raise AttributeError(f"module 'emocatcher' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
