"""A made voice for live audio."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(scope="session")
def made_voice() -> Callable[..., np.ndarray]:
    """Return a function: (seconds, rate, n_channels) → int16 samples, shape (n_samples, n_channels)."""

    def make(seconds: float, rate: int = 16_000, n_channels: int = 1) -> np.ndarray:
        times_s = np.arange(round(seconds * rate)) / rate
        phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * times_s)) / rate
        harmonics = sum(np.sin(k * phase) / k for k in range(1, 20))
        syllables = np.clip(np.sin(2 * np.pi * 3.1 * times_s), 0.02, 1.0)
        return np.repeat((4000 * harmonics * syllables).astype(np.int16)[:, None], n_channels, axis=1)

    return make
