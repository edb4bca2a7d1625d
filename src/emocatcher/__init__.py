"""EmoCatcher: an emotion, how sure we are, and where in the sound we heard it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emocatcher.recognition.prediction import Caution, Failure, Prediction
    from emocatcher.recognition.recognizer import Recognizer, load

__version__ = "0.1.0"
__all__ = ["Caution", "Failure", "Prediction", "Recognizer", "__version__", "load"]

_HOMES = {"Recognizer": "recognition.recognizer", "load": "recognition.recognizer"}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that `import emocatcher` costs next to nothing.
    if name in __all__:
        return getattr(import_module(f"emocatcher.{_HOMES.get(name, 'recognition.prediction')}"), name)
    raise AttributeError(f"module 'emocatcher' has no attribute '{name}'")
