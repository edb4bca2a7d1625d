"""Mel bands: their centre frequencies and their filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.settings import FrontEnd


def centres_hz(front_end: FrontEnd) -> NDArray[np.float64]:
    """Return the centre frequency of every mel band, Hz, shape (n_mels,)."""
    return _edges_hz(front_end)[1:-1]


def filters(front_end: FrontEnd) -> NDArray[np.float32]:
    """Return triangular filters of equal area (Slaney 1998, Auditory Toolbox), shape (n_bins_used, n_mels).

    Bins above the last band's upper edge have no weight and are left out.
    """
    bins_hz = np.arange(front_end.n_fft // 2 + 1) * (front_end.sample_rate / front_end.n_fft)
    bins_hz = bins_hz[: np.searchsorted(bins_hz, front_end.f_max, side="right")]
    edges = _edges_hz(front_end)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins_hz[:, None] - lower) / (centre - lower)
    falling = (upper - bins_hz[:, None]) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (upper - lower)), np.float32)


def _edges_hz(front_end: FrontEnd) -> NDArray[np.float64]:
    """Return the bands' edges on Slaney's mel scale, linear below 1000 Hz and logarithmic above; (n_mels + 2,), Hz."""
    hz_per_mel, break_hz, step = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
    break_mel = break_hz / hz_per_mel

    def to_mel(hz: float) -> float:
        return hz / hz_per_mel if hz < break_hz else float(break_mel + np.log(hz / break_hz) / step)

    mels = np.linspace(to_mel(front_end.f_min), to_mel(front_end.f_max), front_end.n_mels + 2)
    return np.where(mels < break_mel, mels * hz_per_mel, break_hz * np.exp(step * (mels - break_mel)))
