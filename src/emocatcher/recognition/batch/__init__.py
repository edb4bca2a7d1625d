"""Recognise many recordings into a table: one row per recording, also for failures, and resumable at any point."""

from emocatcher.recognition.batch.engine import Done, run
from emocatcher.recognition.batch.inputs import LISTS, expand, lines, only_local
from emocatcher.recognition.batch.rows import Ids
from emocatcher.recognition.batch.table_writing import FORMATS, format_of

__all__ = ["FORMATS", "LISTS", "Done", "Ids", "expand", "format_of", "lines", "only_local", "run"]
