"""The device that a training runs on: the CPU, or a GPU through CUDA or MPS.

Only a CPU gives the same bits each time, so it is the default. On a GPU, the order of additions may differ from run to
run.
"""

from __future__ import annotations

from emocatcher.foundation.errors import SettingError

_NAMES = ("auto", "cpu", "cuda", "mps")


def resolve(name: str) -> str:
    """Return the device to use: "cpu", "cuda" or "mps".

    Args:
        name: one of them, which must be available, or "auto" for the first of cuda, mps and cpu that is.

    Raises:
        SettingError: if there is no such device here.
    """
    if name == "cpu":  # without importing PyTorch
        return name
    available = _available()
    if name not in ("auto", *available):
        raise SettingError(
            f"There is no device '{name}': PyTorch finds {', '.join(available)} here. Give one of {', '.join(_NAMES)}"
            + ("; a GPU needs its driver, and a PyTorch that was built for it" if name in _NAMES else "")
        )
    return available[0] if name == "auto" else name


def describe(device: str) -> str:
    """Return the device with the GPU's model if CUDA knows it, such as "cuda (NVIDIA H200)"."""
    if device != "cuda":
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name()})"


def _available() -> list[str]:
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, is_available in found.items() if is_available]
