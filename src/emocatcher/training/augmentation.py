"""Augmentation of the training part, on log-mel spectrograms: changes to a voice that keep its emotion.

A clip's spectrogram is resampled in time (tempo) and in frequency (pitch, together with the formants, as when a record
turns faster), made louder or softer, and filtered with a random smooth curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.features import mel
from emocatcher.foundation.settings import Augmentation, FrontEnd

_FEWEST_FRAMES = 8  # a faster tempo leaves at least these
_N_WAVES = 4  # cosines that a random filter curve is the sum of


class Variation(NamedTuple):
    """How one clip is changed, as shares of what the settings allow."""

    gain: float  # -1 to 1
    tempo: float  # -1 to 1
    pitch: float  # -1 to 1
    waves: NDArray[np.float64]  # (4,), standard normal; the weights of the cosines of the filter curve


class Augmenter:
    """Augment clips by the settings of a recipe.

    Args:
        settings: how far each property may change.
        front_end: the front end that computed the spectrograms.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> augmenter = Augmenter(Augmentation(tempo=0.1), load_preset("cabg").front_end)
        >>> varied = augmenter(np.zeros((64, 100), np.float32), np.random.default_rng(0))
        >>> varied.shape
        (64, 105)
    """

    def __init__(self, settings: Augmentation, front_end: FrontEnd) -> None:
        self._settings = settings
        self._centres_hz = mel.centres_hz(front_end)
        position = np.linspace(0.0, np.pi, front_end.n_mels)
        self._waves = np.cos(np.outer(np.arange(1, _N_WAVES + 1), position)) / np.sqrt(_N_WAVES)

    def __call__(self, channels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        """Draw a variation and apply it to one clip; see `vary`."""
        return self.vary(channels, self.draw(random))

    def draw(self, random: np.random.Generator) -> Variation:
        """Draw the variation of a clip; it does not depend on the clip."""
        gain, tempo, pitch = random.uniform(-1.0, 1.0, 3).tolist()
        return Variation(gain, tempo, pitch, random.standard_normal(_N_WAVES))

    def n_frames(self, n_frames: int, variation: Variation) -> int:
        """Return how many frames a clip of `n_frames` has afterwards: at least 8, unless it is shorter."""
        tempo = self._settings.tempo
        return max(round(n_frames / (1.0 + tempo * variation.tempo)), min(_FEWEST_FRAMES, n_frames))

    def vary(self, channels: NDArray[np.float32], variation: Variation) -> NDArray[np.float32]:
        """Apply a variation to one clip.

        Args:
            channels: shape (n_channels, n_frames), from `extraction.compute_channels`.
            variation: from `draw`.

        Returns:
            shape (n_channels, n_frames'); see `n_frames`.
        """
        settings = self._settings
        gain, _, pitch, waves = variation
        n_mels, n_frames = len(self._centres_hz), channels.shape[1]
        rows, tracks = channels[:n_mels].T, channels[n_mels:]
        if settings.tempo:
            times = np.linspace(0.0, n_frames - 1.0, self.n_frames(n_frames, variation))
            # Interpolating the pitch between voiced and unvoiced frames, or between octaves, would give a pitch that
            # is in neither; the nearest frame's is taken.
            rows, tracks = _at(rows, times), tracks[:, np.rint(times).astype(np.int64)]
        if settings.pitch:
            source_hz = self._centres_hz * (1.0 + settings.pitch * pitch)
            places = np.interp(source_hz, self._centres_hz, np.arange(len(source_hz), dtype=float))
            rows = _at(rows.T, places).T
        colour = settings.gain_db * gain + settings.tilt_db * (waves @ self._waves)
        varied = (rows + colour.astype(np.float32)).T
        if not len(tracks):
            return np.asarray(varied)
        octaves = tracks[:1] - np.float32(np.log2(1.0 + settings.pitch * pitch))
        return np.concatenate([varied, octaves, tracks[1:]])


def _at(rows: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate rows linearly at fractional places; shape (n_places, n)."""
    lower = np.minimum(places.astype(np.int64), max(len(rows) - 2, 0))
    upper = np.minimum(lower + 1, len(rows) - 1)
    share = (places - lower).astype(np.float32)[:, None]
    return np.asarray(rows[lower] * (1.0 - share) + rows[upper] * share)
