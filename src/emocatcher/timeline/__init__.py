"""Emotions over time, for long recordings and live audio. Both use one engine, so their results agree."""

from emocatcher.timeline.hearing import Network
from emocatcher.timeline.recording import Timeline, recognise
from emocatcher.timeline.segments import Segment
from emocatcher.timeline.stream import Stream
from emocatcher.timeline.windows import Window, Windows

__all__ = ["Network", "Segment", "Stream", "Timeline", "Window", "Windows", "recognise"]
