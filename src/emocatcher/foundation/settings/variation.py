"""The settings that vary the clips of the training part: augmentation and degradation."""

from __future__ import annotations

import msgspec

from emocatcher.foundation.settings.bounds import Cut, Decay, Fraction, Level, Share, UpTo100


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the training part is augmented (see `emocatcher.training.augmentation`); 0 turns an augmentation off."""

    gain_db: UpTo100 = 0.0  # largest gain, up or down
    tempo: Fraction = 0.0  # largest change of tempo, as a share
    pitch: Fraction = 0.0  # largest change of all frequencies, as a share
    tilt_db: UpTo100 = 0.0  # standard deviation of a smooth change over the bands
    mixup: UpTo100 = 0.0  # alpha of the beta distribution of the mixing weight (Zhang et al. 2018)

    @property
    def varies(self) -> bool:
        """Whether single clips are augmented at all."""
        return any((self.gain_db, self.tempo, self.pitch, self.tilt_db))


class Degradation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which shares of the copies of each clip are degraded before they are encoded; each is drawn on its own.

    See `emocatcher.training.degraded_copies`.
    """

    noisy: Share = 0.0
    snr_db: tuple[Level, Level] = (3.0, 25.0)  # lowest and highest ratio of voice and noise, over the voiced span
    rooms: Share = 0.0
    rt60_s: tuple[Decay, Decay] = (0.15, 0.7)  # shortest and longest decay by 60 dB
    telephone: Share = 0.0  # not coded besides
    coded: Share = 0.0  # by Opus or MP3
    cut: Share = 0.0
    cut_s: tuple[Cut, Cut] = (1.0, 2.0)  # shortest and longest part of the voiced span that is left

    def __post_init__(self) -> None:
        if self.telephone + self.coded > 1.0:
            raise ValueError(f"telephone {self.telephone:g} and coded {self.coded:g} are more than 1 together")
        for name in ("snr_db", "rt60_s", "cut_s"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} goes from {low:g} to {high:g}. Give the smaller one first")
