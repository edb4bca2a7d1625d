"""Recognise many recordings into a table: one row per recording, also for failures, and resumable at any point."""

from emocatcher.recognition.batch.engine import Done, run
from emocatcher.recognition.batch.growing_tables import FORMATS, format_of
from emocatcher.recognition.batch.inputs import expand, lines

__all__ = ["FORMATS", "Done", "expand", "format_of", "lines", "run"]
