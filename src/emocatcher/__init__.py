"""EmoCatcher: an emotion, how sure we are, and where in the sound we heard it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emocatcher.inference import Prediction, Recognizer, load

__version__ = "0.1.0"
__all__ = ["Prediction", "Recognizer", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that `import emocatcher` costs next to nothing.
    if name in __all__:
        from emocatcher import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'emocatcher' has no attribute '{name}'")
