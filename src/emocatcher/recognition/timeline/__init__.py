"""Emotions over time, for long recordings and live audio. Both use one engine, so their results agree."""

from emocatcher.recognition.timeline.recording import Timeline, recognise
from emocatcher.recognition.timeline.segments import Segment
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline, Turn
from emocatcher.recognition.timeline.stream import Stream
from emocatcher.recognition.timeline.summary import LONG_S, speech_s, summarise
from emocatcher.recognition.timeline.window_batches import Network
from emocatcher.recognition.timeline.windows import Window, Windows

__all__ = [
    "LONG_S",
    "Network",
    "Segment",
    "SpeakerTimeline",
    "Stream",
    "Timeline",
    "Turn",
    "Window",
    "Windows",
    "recognise",
    "speech_s",
    "summarise",
]
