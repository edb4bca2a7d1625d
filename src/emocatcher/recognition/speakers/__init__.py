"""Who felt what: each turn that a diariser found is recognised as one utterance; no diariser is included."""

from emocatcher.recognition.speakers.by_speaker import recognise
from emocatcher.recognition.speakers.turn_files import read
from emocatcher.recognition.speakers.turns import SpeakerTurn, Turns

__all__ = ["SpeakerTurn", "Turns", "read", "recognise"]
