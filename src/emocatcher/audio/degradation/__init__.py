"""Make degraded recordings: telephone, codecs, noise, rooms, level and cuts; each turns a waveform into a waveform.

They keep the length and the time of the sound, except for a cut. What is random is drawn from a generator that the
caller gives, so the same seed makes the same recording.
"""

from emocatcher.audio.degradation.level import amplify, clip, cut
from emocatcher.audio.degradation.noise import N_VOICES, add_noise, babble, cafe, pink_noise
from emocatcher.audio.degradation.rooms import Room, draw_room, reverberate
from emocatcher.audio.degradation.transmission import CODECS, code, telephone

__all__ = [
    "CODECS",
    "N_VOICES",
    "Room",
    "add_noise",
    "amplify",
    "babble",
    "cafe",
    "clip",
    "code",
    "cut",
    "draw_room",
    "pink_noise",
    "reverberate",
    "telephone",
]
