"""Long recordings and live sound → emotions over time. One engine serves both, so they agree."""

from emocatcher.timeline.hearing import Network
from emocatcher.timeline.recording import Timeline, hear
from emocatcher.timeline.segments import Segment
from emocatcher.timeline.stream import Stream
from emocatcher.timeline.windows import Window, Windows

__all__ = ["Network", "Segment", "Stream", "Timeline", "Window", "Windows", "hear"]
